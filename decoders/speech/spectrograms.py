"""Families whose networks make spectrograms: SpeechT5."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from anymodal.decoders.speech.family import SpeechFamily, SpeechNetworks, VoicePrompt

_STEPS = 128
"""Steps of a spectrogram that a plan computes together."""


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

    def workload(
        self, networks: SpeechNetworks, letters: int, seconds: float
    ) -> Callable[[], object] | None:
        """Keys and values of text and spectrogram, while the vocoder makes the sound at once."""
        if networks.codec is None:
            return None
        model, vocoder = networks.model, cast(Any, networks.codec)
        config, sound = model.config, vocoder.config
        frames = math.ceil(seconds * sound.sampling_rate / math.prod(sound.upsample_rates))
        steps = math.ceil(frames / config.reduction_factor)
        steps = min(steps, int(config.max_speech_positions))
        sounding = steps * int(config.reduction_factor)
        words = min(letters, self.max_tokens(model) or letters)

        def work() -> object:
            read = model.speecht5.encoder(torch.zeros(1, words, dtype=torch.long)).last_hidden_state
            decoder = model.speecht5.decoder
            voice = torch.zeros(1, int(config.speaker_embedding_dim), dtype=model.dtype)
            mels = torch.zeros(1, steps, int(config.num_mel_bins), dtype=model.dtype)
            states = None
            # One step after the other at work; all at once would keep scores of all with all.
            for piece in decoder.prenet(mels, voice).split(_STEPS, 1):
                said = decoder.wrapped_decoder(
                    piece, encoder_hidden_states=read, past_key_values=states, use_cache=True
                )
                states = said.past_key_values
                del said
            vocoder(torch.zeros(1, sounding, int(config.num_mel_bins), dtype=vocoder.dtype))
            return states

        return work
