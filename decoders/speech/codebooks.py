"""Families whose networks choose codes of a codec: Dia, CSM, Bark."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from anymodal.decoders.speech.family import SpeechFamily, SpeechNetworks, VoicePrompt, mono
from anymodal.decoders.speech.workloads import fill_cache, restore_paddings
from anymodal.media import Audio

_SAMPLING = {"temperature": "temperature"}


def _drawn(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with what transformers wants beside a temperature; 0 takes the likeliest code."""
    if "temperature" not in options:
        return dict(options)
    if options["temperature"] > 0:
        return {**options, "do_sample": True}
    return {key: value for key, value in options.items() if key != "temperature"} | {
        "do_sample": False
    }


class DiaFamily(SpeechFamily):
    """Dia (Nari Labs): text to nine codebooks of DAC, with guidance.

    Source: `DiaForConditionalGeneration` of transformers. A recording continues, so its words stand
    before the text where they are known (`Speech.text`).
    """

    label = "Dia"
    licences = "Apache-2.0"
    model_class = "DiaForConditionalGeneration"
    settings = {"guidance": "guidance_scale", **_SAMPLING}
    codec_class = "DacModel"

    def rate(self, model: Any, processor: Any) -> int:
        """The codec's."""
        return int(processor.feature_extractor.sampling_rate)

    def max_tokens(self, model: Any) -> int | None:
        """Its encoder's positions."""
        return int(model.config.encoder_config.max_position_embeddings)

    def prepare_text(self, text: str) -> str:
        """The text as the first speaker's."""
        return text if text.startswith(("[S1]", "[S2]")) else f"[S1] {text}"

    def takes_recordings(self, model: Any, processor: Any) -> bool:
        """Its codec has an encoder."""
        return True

    def inputs(self, model: Any, processor: Any, text: str, voice: VoicePrompt | None) -> Any:
        """The text, and the codes of the recording."""
        if not isinstance(voice, Audio):
            return processor(text=[text], return_tensors="pt")
        words = getattr(voice, "text", "")
        text = f"{self.prepare_text(words)} {text}" if words else text
        sound = mono(voice, self.rate(model, processor))
        return processor(text=[text], audio=[sound], return_tensors="pt")

    def generate(
        self, networks: SpeechNetworks, inputs: Any, options: Mapping[str, Any]
    ) -> Tensor | None:
        """Codes by `generate`, samples by the processor, without the recording."""
        codes = networks.model.generate(**inputs, **_drawn(options))
        frames = int(networks.processor.get_audio_prompt_len(inputs["decoder_attention_mask"]))
        # Of one alone, which begins what has no recording, the processor finds the place itself.
        samples: Tensor = networks.processor.batch_decode(
            codes, audio_prompt_len=frames if frames > 1 else None
        )[0]
        return samples

    def workload(
        self, networks: SpeechNetworks, letters: int, seconds: float
    ) -> Callable[[], object] | None:
        """The voice's codes; keys and values with guidance; then all of the sound."""
        if networks.codec is None:
            return None
        model, codec = networks.model, cast(Any, networks.codec)
        config, samples = (
            model.config.decoder_config,
            math.ceil(seconds * codec.config.sampling_rate),
        )
        frames = math.ceil(samples / codec.config.hop_length)
        count = min(2 * frames, int(config.max_position_embeddings))
        words = min(letters, self.max_tokens(model) or letters)

        def work() -> object:
            codec.encode(torch.zeros(1, 1, samples, dtype=codec.dtype))
            texts = torch.zeros(2, words, dtype=torch.long)
            codes = torch.zeros(2, count, int(config.num_channels), dtype=torch.long)
            model(input_ids=texts, decoder_input_ids=codes, use_cache=True)
            return codec.decode(audio_codes=codes[:1, :frames].transpose(1, 2))

        return work


class CsmFamily(SpeechFamily):
    """CSM (Sesame): a backbone and a depth decoder over codebooks of Mimi.

    Source: `CsmForConditionalGeneration` of transformers. The recording is an earlier turn of the
    same speaker, with its words where they are known (`Speech.text`).
    """

    label = "CSM"
    licences = "Apache-2.0, gated"
    model_class = "CsmForConditionalGeneration"
    settings = _SAMPLING

    def rate(self, model: Any, processor: Any) -> int:
        """The codec's."""
        return int(model.config.codec_config.sampling_rate)

    def max_tokens(self, model: Any) -> int | None:
        """Half of its positions; the sound takes the others."""
        return int(model.config.max_position_embeddings) // 2

    def takes_recordings(self, model: Any, processor: Any) -> bool:
        """Its codec has an encoder."""
        return True

    def inputs(self, model: Any, processor: Any, text: str, voice: VoicePrompt | None) -> Any:
        """The turn to speak, behind the recording's."""
        turns: list[dict[str, Any]] = []
        if isinstance(voice, Audio):
            words = {"type": "text", "text": getattr(voice, "text", "")}
            sound = {"type": "audio", "audio": mono(voice, self.rate(model, processor))}
            turns.append({"role": "0", "content": [words, sound]})
        turns.append({"role": "0", "content": [{"type": "text", "text": text}]})
        return processor.apply_chat_template(
            turns, tokenize=True, return_dict=True, return_tensors="pt"
        )

    def generate(
        self, networks: SpeechNetworks, inputs: Any, options: Mapping[str, Any]
    ) -> Tensor | None:
        """Samples by `generate`."""
        output = networks.model.generate(**inputs, output_audio=True, **_drawn(options))
        sounds = getattr(output, "audio", output)
        sound: Tensor = sounds[0]
        return sound

    def workload(
        self, networks: SpeechNetworks, letters: int, seconds: float
    ) -> Callable[[], object] | None:
        """The voice's codes; keys and values of both networks; then all of the sound."""
        model, codec = networks.model, networks.model.codec_model
        config, samples = model.config, math.ceil(seconds * codec.config.sampling_rate)
        frames = math.ceil(seconds * codec.config.frame_rate)
        depth = model.depth_decoder.model

        def work() -> object:
            restore_paddings(codec)
            codec.encode(torch.zeros(1, 1, samples, dtype=codec.dtype))
            states = fill_cache(model.backbone_model, config, letters + 2 * frames)
            codes = torch.zeros(1, int(config.num_codebooks) + 1, dtype=torch.long)
            first = torch.zeros(1, int(config.hidden_size), dtype=model.dtype)
            depth(input_ids=codes, backbone_last_hidden_state=first, use_cache=True)
            del states
            sound = torch.zeros(1, int(config.num_codebooks), frames, dtype=torch.long)
            return codec.decode(sound)

        return work


class BarkFamily(SpeechFamily):
    """Bark (Suno): three transformers over codebooks of EnCodec; its voices are presets.

    Source: `BarkModel` of transformers.
    """

    label = "Bark"
    licences = "MIT"
    model_class = "BarkModel"
    settings = _SAMPLING

    def rate(self, model: Any, processor: Any) -> int:
        """The codec's."""
        return int(model.generation_config.sample_rate)

    def max_tokens(self, model: Any) -> int | None:
        """What its first network reads; more would be cut off without a word."""
        return int(model.generation_config.semantic_config["max_input_semantic_length"])

    def presets(self, processor: Any) -> Sequence[str]:
        """The processor's."""
        return tuple(processor.available_voice_presets)

    def inputs(self, model: Any, processor: Any, text: str, voice: VoicePrompt | None) -> Any:
        """The text with the preset's history."""
        return processor(text, voice_preset=voice, max_length=self.max_tokens(model))

    def generate(
        self, networks: SpeechNetworks, inputs: Any, options: Mapping[str, Any]
    ) -> Tensor | None:
        """Samples by `generate`."""
        samples: Tensor = networks.model.generate(**inputs, **_drawn(options))
        return samples[0]

    def workload(
        self, networks: SpeechNetworks, letters: int, seconds: float
    ) -> Callable[[], object] | None:
        """Three networks, one after the other, each over all of its positions; then the sound."""
        model = networks.model
        codec, fine = model.codec_model, model.fine_acoustics
        frames = math.ceil(seconds * codec.config.frame_rate)

        def work() -> object:
            for network in (model.semantic, model.coarse_acoustics):
                length = int(network.config.block_size)
                fill_cache(network, network.config, length, length)
            books = int(fine.config.n_codes_total)
            codes = torch.zeros(1, int(fine.config.block_size), books, dtype=torch.long)
            fine(books - 1, codes)
            restore_paddings(codec)
            return model.codec_decode(torch.zeros(1, books, frames, dtype=torch.long))

        return work
