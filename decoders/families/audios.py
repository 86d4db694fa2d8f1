"""Families of pipelines that make sound as waves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from torch import Tensor

from anymodal.decoders.families.base import Family, mask_padding
from anymodal.decoders.hinted import HintedReferences
from anymodal.decoders.mechanism import ReferenceMechanism
from anymodal.decoders.pipeline import Pipeline
from anymodal.decoders.references import SOURCE, EncodedReference, Reference, ReferenceSlot
from anymodal.media import Audio, Media
from anymodal.types import Conditioning


class Waves(Family):
    """Families over an autoencoder of waves (channels, samples), `seconds` long.

    Attributes:
        rate: samples a second.
        channels: of the sounds.
        samples: of what the denoiser makes.
        seconds: length of the sounds.
    """

    media = Audio
    rate: int
    channels: int
    samples: int
    seconds: float

    def prepare(self, media: Media) -> Tensor:
        assert isinstance(media, Audio), "DiffusionDecoder.prepare refuses others"
        if len(media.samples) != self.channels:
            media = media.mono()
        samples = media.resample(self.rate).samples.repeat(self.channels // len(media.samples), 0)
        samples = samples[:, : round(self.seconds * self.rate)]
        padding = self.samples - samples.shape[1]
        return torch.from_numpy(np.pad(samples, ((0, 0), (0, padding))))

    def prepare_source(self, reference: Reference, frames: int) -> Tensor:
        """A source (channels + 1, samples): its waves, and a row of 1 where they are made anew.

        Raises:
            ValueError: nothing of it is, since it is as long as what is made and has no span, or
                one that begins behind it.
        """
        assert isinstance(reference.media, Audio), "its slot says so"
        if reference.span is None and reference.media.duration >= self.seconds:
            raise ValueError(
                f"the source lasts {reference.media.duration:g} s, as what is made does; say which "
                f"part is made anew by span=[from, to], or make more than {self.seconds:g} s"
            )
        start, end = reference.span or (reference.media.duration, None)
        if start >= self.seconds:
            raise ValueError(
                f"span={reference.span} begins behind what is made, which lasts "
                f"{self.seconds:g} s; let it begin before, or make more"
            )
        per_second = frames * self.rate / self.samples
        first = min(int(start * per_second), frames - 1)
        last = frames if end is None else max(first + 1, min(int(end * per_second), frames))
        remade = torch.zeros(frames)
        remade[first:last] = 1
        row = remade.repeat_interleave(self.samples // frames)
        return torch.cat([self.prepare(reference.media), row[None]])

    def split_source(self, batch: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """Waves (B, channels, samples) of prepared sources, and masks (B, frames) of the new."""
        return batch[:, :-1], batch[:, -1, :: self.samples // frames]

    def postprocess(self, output: np.ndarray) -> Media:
        return Audio(output.clip(-1, 1), self.rate)


class StableAudio(Waves):
    """Stable Audio Open (https://arxiv.org/abs/2407.14358), `seconds` long, at most its full time.

    The conditioning is the caption encoder's; the pipeline projects it and zeroes the padding.

    Args:
        pipeline: a `StableAudioPipeline`.
        seconds: length of the sounds; None for the longest.
        zeros: whether guidance leads away from zeros, for the length too, as the pipeline does by
            default, and not from the empty caption.

    Raises:
        ValueError: the pipeline makes no sounds of that length.
    """

    legacy_callback = True

    def __init__(
        self, pipeline: Pipeline, seconds: float | None = None, zeros: bool = False
    ) -> None:
        super().__init__(pipeline)
        self.zeros = zeros
        self.takes_negative_prompt = not zeros
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

    def apply_mask(self, conditioning: Conditioning) -> Conditioning:
        return mask_padding(conditioning)

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

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        negative = None if self.zeros else negative
        return super().call_kwargs(positive, negative, guidance) | {
            "audio_end_in_s": self.seconds,
            "attention_mask": positive.mask.long(),
            "negative_attention_mask": None if negative is None else negative.mask.long(),
        }


class StableAudio3(Waves):
    """Stable Audio 3 (https://arxiv.org/abs/2605.17991): a T5Gemma's states, and the length.

    The network puts what it has learned for padding in the place of what the mask leaves out.

    Args:
        pipeline: a `StableAudio3Pipeline`.
        seconds: length of the sounds; nothing in the pipeline tells it but the longest.

    Raises:
        ValueError: the pipeline makes no sounds of that length.
    """

    max_tokens = 256
    takes_span = True
    hint_argument = "local_add_cond"

    def __init__(self, pipeline: Pipeline, seconds: float = 10.0) -> None:
        super().__init__(pipeline)
        vae, longest = pipeline.vae, float(pipeline.duration_embedder.config.max_val)
        if not 0 < seconds <= longest:
            raise ValueError(f"seconds={seconds}, but this pipeline makes up to {longest:g} s")
        self.seconds = seconds
        self.rate = int(vae.config.sampling_rate)
        self.channels = int(vae.config.audio_channels)
        factor = int(vae.downsampling_ratio)
        frames = math.ceil(seconds * self.rate / factor)
        self.samples = frames * factor
        self.latent_shape = (int(vae.config.latent_dim), frames)
        self.media_shape = (self.channels, self.samples)

    @property
    def width(self) -> int:
        return int(self.pipeline.transformer.config.cond_token_dim)

    def encode(self, batch: Tensor) -> Tensor:
        return torch.as_tensor(self.pipeline.vae.encode(batch).latents)

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        slots = {SOURCE: ReferenceSlot(SOURCE, Audio, asked=True)}
        return HintedReferences(self, slots, roles) if roles else None

    def prepare_reference(self, reference: Reference) -> Tensor:
        return self.prepare_source(reference, self.latent_shape[1])

    def encode_reference(self, batch: Tensor) -> Tensor:
        """What is kept, as (B, 1 + C, T): a mask of it, and its latents."""
        waves, new = self.split_source(batch, self.latent_shape[1])
        kept = (1 - new)[:, None]
        return torch.cat([kept, self.encode(waves) * kept], 1)

    def hint(self, references: Sequence[EncodedReference], latents: Tensor) -> Tensor:
        """That of an item's source.

        Raises:
            ValueError: the item is of another length than sources are.
        """
        (reference,) = references
        if reference.latents.shape[1] != latents.shape[1]:
            raise ValueError(
                f"a source of {reference.latents.shape[1]} frames can't be shown beside "
                f"{latents.shape[1]}; leave seconds as they are where references are given"
            )
        return reference.latents.to(latents)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        pipeline, count = self.pipeline, len(inputs)
        length = pipeline.encode_duration(self.seconds, inputs.device, 1, count)
        context, mask = pipeline.prepare_cross_attention(
            conditioning.embeds, conditioning.mask.long(), length
        )
        output: Tensor = pipeline.transformer(
            inputs,
            timesteps,
            encoder_hidden_states=context,
            global_hidden_states=length.to(inputs),
            encoder_attention_mask=mask,
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "encoder_attention_mask": positive.mask.long(),
            "negative_encoder_attention_mask": None if negative is None else negative.mask.long(),
            "duration": self.seconds,
        }
