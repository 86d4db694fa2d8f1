"""Families of pipelines that make films through a causal autoencoder of whole films.

Such an autoencoder takes the first frame alone and the others in groups, so that the number of
frames is one more than a multiple of its compression in time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anymodal.decoders.families.latents import latent_channels
from anymodal.decoders.families.videos import Frames
from anymodal.decoders.pipeline import Pipeline
from anymodal.types import Conditioning


def normalized_latents(pipeline: Pipeline, frames: Tensor) -> Tensor:
    """Scaled latents (B, C, T, h, w) of frames (B, 3, T, H, W), as LTX's pipelines have them."""
    vae = pipeline.vae
    return torch.as_tensor(
        pipeline._normalize_latents(
            vae.encode(frames).latent_dist.mode(),
            vae.latents_mean,
            vae.latents_std,
            vae.config.scaling_factor,
        )
    )


class Causal(Frames):
    """Films of 1 + n · `group` frames, whose sides are multiples of `step` pixels.

    The autoencoder makes one latent frame of `compression` frames, the number of a group where no
    other is told, and one row of latents of `factor` rows of pixels.

    Raises:
        ValueError: the autoencoder can't take films of that size.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        frames: int,
        size: tuple[int, int],
        fps: float,
        *,
        compression: int,
        factor: int,
        step: int,
        group: int | None = None,
    ) -> None:
        super().__init__(pipeline)
        self.frame_group = compression if group is None else group
        self.step = step
        self.check_size(*size, frames)
        self.frames, self.size, self.fps = frames, size, fps
        self.media_shape = (3, frames, *size)
        #: The latents' frames, height and width.
        self.grid = ((frames - 1) // compression + 1, size[0] // factor, size[1] // factor)
        self.num_channels = latent_channels(pipeline.vae)
        self.latent_shape = (self.num_channels, *self.grid)
        self.prepare_networks()

    def prepare_networks(self) -> None:
        """Change the networks, once the latents' size is known; here they stay as they are."""

    @property
    def side_step(self) -> int:
        return self.step

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "height": self.size[0],
            "width": self.size[1],
            "num_frames": self.frames,
        }


class LTX(Causal):
    """LTX-Video (https://arxiv.org/abs/2501.00103); `fps` is an input of its network.

    Args:
        pipeline: an `LTXPipeline`.
        frames, height, width: of the films; nothing in the pipeline tells them.
        fps: frames a second.
        decode_timestep: the noise level that the autoencoder is told, from 0.9.1 on.
        decode_noise_scale: how much noise is mixed in before it; as told where None.

    Raises:
        ValueError: an older autoencoder, which isn't told, is to be told something.
    """

    max_tokens = 128

    def __init__(
        self,
        pipeline: Pipeline,
        frames: int = 161,
        height: int = 512,
        width: int = 704,
        fps: float = 25.0,
        decode_timestep: float = 0.0,
        decode_noise_scale: float | None = None,
    ) -> None:
        noise = {"decode_timestep": decode_timestep, "decode_noise_scale": decode_noise_scale}
        if not pipeline.vae.config.timestep_conditioning and any(noise.values()):
            raise ValueError(
                f"decode_timestep={decode_timestep} and decode_noise_scale={decode_noise_scale}, "
                "but this LTX's autoencoder is told no noise level; leave both out"
            )
        super().__init__(
            pipeline,
            frames,
            (height, width),
            fps,
            compression=int(pipeline.vae_temporal_compression_ratio),
            factor=int(pipeline.vae_spatial_compression_ratio),
            step=32,  # its pipeline insists, whatever the autoencoder
        )
        self.noise = noise

    @property
    def tokens(self) -> int:
        return self.grid[0] * self.grid[1] * self.grid[2]

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        embeds, mask, _, _ = self.pipeline.encode_prompt(
            list(captions), do_classifier_free_guidance=False, max_sequence_length=self.length
        )
        return Conditioning(embeds, mask.bool())

    def encode(self, batch: Tensor) -> Tensor:
        return normalized_latents(self.pipeline, batch)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        pipeline = self.pipeline
        frames, height, width = self.grid
        factor = pipeline.vae_spatial_compression_ratio
        output = pipeline.transformer(
            hidden_states=self.pack_latents(inputs),
            encoder_hidden_states=conditioning.embeds,
            timestep=timesteps,
            encoder_attention_mask=conditioning.mask,
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=(
                pipeline.vae_temporal_compression_ratio / self.fps,
                factor,
                factor,
            ),
        ).sample
        return self.unpack(output)

    def pack_latents(self, latents: Tensor) -> Tensor:
        return torch.as_tensor(self.pipeline._pack_latents(latents, *self._patches))

    def unpack(self, patches: Tensor) -> Tensor:
        """Turn patches (B, N, C) into latents (B, C, T, h, w)."""
        return torch.as_tensor(self.pipeline._unpack_latents(patches, *self.grid, *self._patches))

    @property
    def _patches(self) -> tuple[int, int]:
        config = self.pipeline.transformer.config
        return int(config.patch_size), int(config.patch_size_t)

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "prompt_attention_mask": positive.mask.long(),
            "negative_prompt_attention_mask": None if negative is None else negative.mask.long(),
            "frame_rate": self.fps,
            **self.noise,
        }
