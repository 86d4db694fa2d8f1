"""Families of pipelines that make sound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from torch import Tensor
from transformers.audio_utils import mel_filter_bank

from anymodal.decoders.family import Family, unmasked, zeroed
from anymodal.media import Audio
from anymodal.types import Conditioning


class StableAudio(Family):
    """Stable Audio Open (https://arxiv.org/abs/2407.14358), `seconds` long, at most its full time.

    The conditioning is the caption encoder's; the pipeline projects it and zeroes the padding.
    """

    media = Audio
    older = True

    def __init__(self, pipeline: Any, seconds: float | None = None) -> None:
        super().__init__(pipeline)
        vae, network = pipeline.vae, pipeline.transformer
        self.rate = int(vae.config.sampling_rate)
        self.channels = int(vae.config.audio_channels)
        self.samples = int(network.config.sample_size) * int(vae.hop_length)
        self.latent_shape = (int(network.config.in_channels), int(network.config.sample_size))
        self.media_shape = (self.channels, self.samples)
        longest = self.samples / self.rate
        self.seconds = longest if seconds is None else seconds
        if not 0 < self.seconds <= longest:
            raise ValueError(f"seconds={seconds}, but this pipeline makes up to {longest:g} s")

    def conditioned(self, conditioning: Conditioning) -> Conditioning:
        return zeroed(conditioning)

    def prepare(self, media: Any) -> Tensor:
        if len(media.samples) != self.channels:
            media = media.mono()
        samples = media.resample(self.rate).samples.repeat(self.channels // len(media.samples), 0)
        samples = samples[:, : round(self.seconds * self.rate)]
        padding = self.samples - samples.shape[1]
        return torch.from_numpy(np.pad(samples, ((0, 0), (0, padding))))

    def encode(self, batch: Tensor) -> Tensor:
        return torch.as_tensor(self.pipeline.vae.encode(batch).latent_dist.mode())

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        pipeline, count = self.pipeline, len(inputs)
        embeds = pipeline.projection_model(text_hidden_states=conditioning.embeds)
        text = embeds.text_hidden_states * conditioning.mask.unsqueeze(-1)
        start, end = pipeline.encode_duration(0.0, self.seconds, inputs.device, False, count)
        rotary = get_1d_rotary_pos_embed(
            pipeline.rotary_embed_dim,
            inputs.shape[2] + start.shape[1],
            use_real=True,
            repeat_interleave_real=False,
        )
        output: Tensor = pipeline.transformer(
            inputs,
            timesteps,
            encoder_hidden_states=torch.cat([text, start, end], dim=1),
            global_hidden_states=torch.cat([start, end], dim=2),
            rotary_embedding=rotary,
        ).sample
        return output

    def asked(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, Any]:
        return super().asked(positive, negative, guidance) | {
            "audio_end_in_s": self.seconds,
            "attention_mask": positive.mask.long(),
            "negative_attention_mask": None if negative is None else negative.mask.long(),
        }

    def medium(self, made: Any) -> Any:
        return Audio(made.clip(-1, 1), self.rate)


class AudioLDM(Family):
    """AudioLDM (https://arxiv.org/abs/2301.12503): one vector of CLAP's, through a spectrogram.

    The conditioning is that vector as the only token. `encode` takes the spectrogram of HiFi-GAN
    (Kong et al. 2020, https://arxiv.org/abs/2010.05646, as AudioLDM has it): windows of 64 ms, the
    vocoder's hop, mel bands of Slaney's kind up to the highest frequency, natural logarithm.

    Args:
        pipeline: an `AudioLDMPipeline`.
        seconds: length of the sounds; None for the network's own.
    """

    media = Audio
    older = True

    def __init__(self, pipeline: Any, seconds: float | None = None) -> None:
        super().__init__(pipeline)
        vocoder, network = pipeline.vocoder.config, pipeline.unet.config
        self.rate, self.bands = int(vocoder.sampling_rate), int(vocoder.model_in_dim)
        self.hop = math.prod(vocoder.upsample_rates)
        factor = int(pipeline.vae_scale_factor)
        rows = int(network.sample_size)
        if seconds is not None:
            if seconds <= 0:
                raise ValueError(f"seconds={seconds} must be greater than 0")
            rows = math.ceil(round(seconds * self.rate / self.hop / factor, 6))
        self.rows = rows * factor
        self.latent_shape = (int(network.in_channels), rows, self.bands // factor)
        self.media_shape = (1, self.rows * self.hop)

    @property
    def length(self) -> int:
        return 1

    @property
    def width(self) -> int:
        return int(self.pipeline.text_encoder.config.projection_dim)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        device = self.pipeline.text_encoder.device
        embeds = self.pipeline._encode_prompt(list(captions), device, 1, False)
        return unmasked(embeds.unsqueeze(1))  # (B, C) -> (B, 1, C)

    def prepare(self, media: Any) -> Tensor:
        samples = media.mono().resample(self.rate).samples[:, : self.media_shape[1]]
        padding = self.media_shape[1] - samples.shape[1]
        return torch.from_numpy(np.pad(samples, ((0, 0), (0, padding))))

    def encode(self, batch: Tensor) -> Tensor:
        size = round(0.064 * self.rate)
        waves = torch.stft(
            batch.float().squeeze(1),
            size,
            self.hop,
            window=torch.hann_window(size, device=batch.device),
            pad_mode="reflect",
            return_complex=True,
        ).abs()  # (B, frequencies, rows + 1)
        filters = mel_filter_bank(
            waves.shape[1], self.bands, 0, self.rate / 2, self.rate, "slaney", "slaney"
        )
        mel = torch.from_numpy(filters).to(waves).T @ waves[..., : self.rows]
        vae = self.pipeline.vae
        rows = mel.clamp(min=1e-5).log().transpose(1, 2).unsqueeze(1)  # (B, 1, rows, bands)
        latents = vae.encode(rows.to(batch.dtype)).latent_dist.mode()
        return torch.as_tensor(latents * vae.config.scaling_factor)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.pipeline.unet(
            inputs,
            timesteps,
            encoder_hidden_states=None,
            class_labels=conditioning.embeds[:, 0],
        ).sample
        return output

    def asked(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, Any]:
        return super().asked(positive, negative, guidance) | {
            "prompt_embeds": positive.embeds[:, 0],
            "negative_prompt_embeds": None if negative is None else negative.embeds[:, 0],
            # The pipeline cuts to whole rows, and a rounding error must not cost one.
            "audio_length_in_s": (self.media_shape[1] + 0.01) / self.rate,
        }

    def medium(self, made: Any) -> Any:
        return Audio(made[None].clip(-1, 1), self.rate)
