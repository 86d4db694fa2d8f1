"""Families whose networks choose codes of a codec: Dia, CSM, Bark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from anymodal.decoders.speech.family import SpeechFamily, SpeechNetworks, VoicePrompt, mono
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
