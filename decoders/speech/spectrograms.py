"""Families whose networks make spectrograms: SpeechT5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from anymodal.decoders.speech.family import SpeechFamily, SpeechNetworks, VoicePrompt


class SpeechT5Family(SpeechFamily):
    """SpeechT5 (Ao et al. 2022, arXiv:2110.07205) with its HiFi-GAN; a voice is an x-vector.

    Source: `SpeechT5ForTextToSpeech` and `SpeechT5HifiGan` of transformers.
    """

    label = "SpeechT5"
    licences = "MIT"
    model_class = "SpeechT5ForTextToSpeech"
    needs_voice = True
    codec_class = "SpeechT5HifiGan"
    codec_folder = "vocoder"

    def rate(self, model: Any, processor: Any) -> int:
        """The feature extractor's, which is the vocoder's too."""
        return int(processor.feature_extractor.sampling_rate)

    def max_tokens(self, model: Any) -> int | None:
        """Its encoder's positions."""
        return int(model.config.max_text_positions)

    def check_prompt(self, model: Any, prompt: Tensor) -> None:
        """Check an x-vector (width,)."""
        width = model.config.speaker_embedding_dim
        if tuple(prompt.shape) != (width,):
            raise ValueError(
                f"a voice of {self.label} is an x-vector ({width},), not {tuple(prompt.shape)}"
            )

    def inputs(self, model: Any, processor: Any, text: str, voice: VoicePrompt | None) -> Any:
        """The tokens and the voice."""
        assert isinstance(voice, Tensor), "a voice is needed, and all of them are tensors"
        inputs = processor(text=text, return_tensors="pt")
        inputs["speaker_embeddings"] = voice[None]
        return inputs

    def generate(
        self, networks: SpeechNetworks, inputs: Any, options: Mapping[str, Any]
    ) -> Tensor | None:
        """Samples by `generate_speech`, whose decoder drops at random at work, too."""
        samples: Tensor = networks.model.generate_speech(
            inputs["input_ids"], inputs["speaker_embeddings"], vocoder=networks.codec
        )
        return samples
