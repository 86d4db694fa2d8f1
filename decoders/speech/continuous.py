"""Families whose networks make continuous latents of sound: Pocket TTS, Phonon, VibeVoice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from anymodal.decoders.speech.family import SpeechFamily, SpeechNetworks, VoicePrompt, mono
from anymodal.decoders.speech.workloads import fill_cache, restore_paddings
from anymodal.media import Audio

MAX_SECONDS = 120.0
"""The longest speech of one text, where a model sets itself no limit by the text's length."""
_VIBEVOICE_RATE = 24_000
"""In Hz, for a plan; the processor tells it, which a plan doesn't open."""


class PocketTTSFamily(SpeechFamily):
    """Pocket TTS (Kyutai): a flow head over a causal transformer, latents at 12.5 Hz.

    Source: `PocketTTSForConditionalGeneration` of transformers.
    """

    label = "Pocket TTS"
    licences = "CC-BY-4.0; of voice cloning gated"
    model_class = "PocketTTSForConditionalGeneration"
    settings = {"steps": "num_flow_steps", "temperature": "temperature"}
    codec_class = "PocketTTSAudioTokenizerModel"

    def rate(self, model: Any, processor: Any) -> int:
        """The codec's."""
        return int(processor.feature_extractor.sampling_rate)

    def max_tokens(self, model: Any) -> int | None:
        """Half of its positions; the sound takes the others."""
        return int(model.config.max_position_embeddings) // 2

    def takes_recordings(self, model: Any, processor: Any) -> bool:
        """Where its codec has an encoder, of the latents that the network takes for a voice."""
        codec = getattr(processor, "audio_tokenizer", None)
        if codec is None or codec.config.encoder_config is None:
            return False
        return bool(codec.config.latent_dim == self._width(model))

    def _width(self, model: Any) -> int:
        return int(model.model.audio_prompt_proj.in_features)

    def check_prompt(self, model: Any, prompt: Tensor) -> None:
        """Check latents (frames, width)."""
        width = self._width(model)
        if prompt.ndim != 2 or prompt.shape[1] != width:
            raise ValueError(
                f"a voice of {self.label} is of latents (frames, {width}), not "
                f"{tuple(prompt.shape)}"
            )

    def inputs(self, model: Any, processor: Any, text: str, voice: VoicePrompt | None) -> Any:
        """The text behind the voice, if there is one."""
        content: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if voice is not None:
            content.insert(0, {"type": "audio"})
        prompt = processor.apply_chat_template([{"role": "user", "content": content}])
        if isinstance(voice, Audio):
            sound = mono(voice, self.rate(model, processor))
            return processor(text=[prompt], audio=[sound], return_tensors="pt")
        latents = {} if voice is None else {"audio_prompt_latents": [voice]}
        return processor(text=[prompt], return_tensors="pt", **latents)

    def generate(
        self, networks: SpeechNetworks, inputs: Any, options: Mapping[str, Any]
    ) -> Tensor | None:
        """Latents by `generate`, samples by the processor."""
        options = {**options, "return_dict_in_generate": True}
        if "temperature" in options:
            options["do_sample"] = options["temperature"] > 0
            if not options["do_sample"]:
                del options["temperature"]
        output = networks.model.generate(**inputs, **options)
        (samples,) = networks.processor.decode(output.audio_latents, output.audio_latents_mask)
        return samples if isinstance(samples, Tensor) else None

    def workload(
        self, networks: SpeechNetworks, letters: int, seconds: float
    ) -> Callable[[], object] | None:
        """Keys and values of voice, text and sound, while the codec decodes the sound at once."""
        if networks.codec is None:
            return None
        model, decoder = networks.model, cast(Any, networks.codec)
        frames = math.ceil(seconds * model.config.frame_rate)
        latents = 1, frames, int(model.config.latent_dim)

        def work() -> object:
            states = fill_cache(model.model, model.config, letters + 2 * frames)
            restore_paddings(decoder)
            decoder.decode(torch.zeros(latents, dtype=decoder.dtype))
            return states

        return work


class PhononFamily(PocketTTSFamily):
    """Phonon (Gradium), built as Pocket TTS; its voices are latents of a codec of their own.

    Source: `GradiumPhononTTSForConditionalGeneration` of transformers.
    """

    label = "Phonon"
    licences = "Apache-2.0 (31m-en); 40m non-commercial"
    model_class = "GradiumPhononTTSForConditionalGeneration"
    needs_voice = True


class VibeVoiceFamily(SpeechFamily):
    """VibeVoice (Peng et al. 2025, arXiv:2508.19205): a diffusion head over Qwen2.5, at 7.5 Hz.

    Source: `VibeVoiceForConditionalGeneration` of transformers.
    """

    label = "VibeVoice"
    licences = "MIT"
    model_class = "VibeVoiceForConditionalGeneration"
    settings = {"steps": "num_diffusion_steps", "guidance": "guidance_scale"}

    def rate(self, model: Any, processor: Any) -> int:
        """The processor's."""
        return int(processor.feature_extractor.sampling_rate)

    def max_tokens(self, model: Any) -> int | None:
        """Half of its positions; the sound takes the others."""
        return int(model.config.text_config.max_position_embeddings) // 2

    def takes_recordings(self, model: Any, processor: Any) -> bool:
        """It has no other voices."""
        return True

    def inputs(self, model: Any, processor: Any, text: str, voice: VoicePrompt | None) -> Any:
        """One speaker's line, with the recording where there is one."""
        content: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if isinstance(voice, Audio):
            content.append({"type": "audio", "audio": mono(voice, self.rate(model, processor))})
        line = [{"role": "0", "content": content}]
        return processor.apply_chat_template(
            line, tokenize=True, return_dict=True, return_tensors="pt"
        )

    def generate(
        self, networks: SpeechNetworks, inputs: Any, options: Mapping[str, Any]
    ) -> Tensor | None:
        """Samples by `generate`."""
        model = networks.model
        hop = model.config.audio_config.hop_length
        limit = math.ceil(MAX_SECONDS * self.rate(model, networks.processor) / hop)
        room = model.config.text_config.max_position_embeddings - inputs["input_ids"].shape[1]
        given = getattr(model.generation_config, "max_new_tokens", None)
        options = {**options, "max_new_tokens": min(given or limit, limit, room)}
        output: Sequence[Tensor | None] | Any = model.generate(**inputs, **options)
        sounds = getattr(output, "audio", output)
        sound: Tensor | None = sounds[0]
        return sound

    def workload(
        self, networks: SpeechNetworks, letters: int, seconds: float
    ) -> Callable[[], object] | None:
        """A voice's recording, then keys and values with guidance while frames are decoded."""
        model = networks.model
        tower, config = model.model.audio_tower, model.config
        samples = math.ceil(seconds * _VIBEVOICE_RATE)
        frames = math.ceil(samples / config.audio_config.hop_length)
        latents = 1, 1, int(config.audio_config.hidden_size)

        def work() -> object:
            tower.encode(torch.zeros(1, 1, samples, dtype=model.dtype))
            branches = [
                fill_cache(model.model.language_model, config.text_config, letters + 2 * frames)
                for _ in range(2)
            ]
            tower.decode(torch.zeros(latents, dtype=model.dtype))
            return branches

        return work
