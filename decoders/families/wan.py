"""Wan: films of captions, and from a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import WanPipeline
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from torch import Tensor

from anymodal.config import ranges
from anymodal.decoders.channels import FirstFrameFamily
from anymodal.decoders.clean import CleanReferences
from anymodal.decoders.families.base import mask_padding
from anymodal.decoders.families.borrowing import Borrowing
from anymodal.decoders.families.causal_videos import Causal
from anymodal.decoders.families.latents import standardize_latents
from anymodal.decoders.mechanism import ReferenceMechanism
from anymodal.decoders.pipeline import DENOISERS, Network, Pipeline
from anymodal.decoders.references import FIRST, EncodedReference, ReferenceSlot
from anymodal.media import Image
from anymodal.types import Conditioning


class Wan(Causal):
    """Wan 2.1 and 2.2 (https://arxiv.org/abs/2503.20314); padding is zeroed.

    The small 2.2 (TI2V-5B), whose denoiser has a timestep for each patch, takes a first frame too.
    The large 2.2 (A14B) has a network for much noise and another for little; the loss asks the one
    that an item's noise is for.

    Args:
        pipeline: a `WanPipeline`.
        frames, height, width: of the films; nothing in the pipeline tells them.
        fps: frames a second.
        low_noise_guidance: guidance of the network for little noise in calls that are guided; that
            of the other where None.

    Raises:
        ValueError: a size that it can't make, a guidance of a network that there isn't, or networks
            of which nothing says what noise each is for.
    """

    max_tokens = 512

    def __init__(
        self,
        pipeline: Pipeline,
        frames: int = 81,
        height: int = 480,
        width: int = 832,
        fps: float = 16.0,
        low_noise_guidance: float | None = None,
    ) -> None:
        pipeline = self.maker_of(pipeline)
        _check_networks(pipeline)
        if low_noise_guidance is not None:
            if pipeline.transformer_2 is None:
                raise ValueError(
                    f"low_noise_guidance={low_noise_guidance}, but this Wan has one network for "
                    "all noise; leave it out"
                )
            ranges.check_real("low_noise_guidance", low_noise_guidance, 0, ranges.MOST_GUIDANCE)
        self.low_noise_guidance = low_noise_guidance
        factor = int(pipeline.vae_scale_factor_spatial)
        super().__init__(
            pipeline,
            frames,
            (height, width),
            fps,
            compression=int(pipeline.vae_scale_factor_temporal),
            factor=factor,
            step=max(16, factor * int(pipeline.transformer.config.patch_size[1])),
        )

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        slots = {FIRST: ReferenceSlot(FIRST, Image)} if self._expands_timesteps else {}
        return CleanReferences(self, slots, roles) if roles else None

    @property
    def _expands_timesteps(self) -> bool:
        return bool(self.pipeline.config.expand_timesteps)

    def spread(self, reference: EncodedReference, latents: Tensor) -> tuple[Tensor, Tensor]:
        self.check_reference(reference, latents[:, :1])
        values, mask = torch.zeros_like(latents), torch.zeros_like(latents[:1])
        values[:, :1], mask[:, :1] = reference.latents.to(latents), 1
        return values, mask

    def clean_times(self, timesteps: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Times (B, T * h / 2 * w / 2) of patches, 0 where latents (B, C, T, h, w) are known."""
        return {"timestep": timesteps * ~known[:, 0, :, ::2, ::2].flatten(1)}

    def preprocess_prompt(self, captions: Sequence[str]) -> list[str]:
        return [prompt_clean(caption) for caption in captions]

    def apply_mask(self, conditioning: Conditioning) -> Conditioning:
        return mask_padding(conditioning)

    def encode(self, batch: Tensor) -> Tensor:
        vae = self.pipeline.vae
        return standardize_latents(vae, vae.encode(batch).latent_dist.mode())

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        if self._expands_timesteps:  # one for each patch
            frames, height, width = self.grid
            timesteps = timesteps[:, None].expand(-1, frames * (height // 2) * (width // 2))
        if len(self.networks) == 1:
            return self._denoise(self.networks[0], inputs, timesteps, conditioning.embeds)
        return torch.cat(
            [
                self._denoise_one(*each)
                for each in zip(
                    inputs.split(1), timesteps.split(1), conditioning.embeds.split(1), strict=True
                )
            ]
        )

    def _denoise_one(self, inputs: Tensor, timestep: Tensor, embeds: Tensor) -> Tensor:
        """Call the network that an item's noise is for."""
        high, low = self.networks
        boundary = self.pipeline.config.boundary_ratio * len(self.pipeline.scheduler)
        network = high if bool(timestep >= boundary) else low
        return self._denoise(network, inputs, timestep, embeds)

    def _denoise(
        self, network: Network, inputs: Tensor, timesteps: Tensor, embeds: Tensor
    ) -> Tensor:
        output: Tensor = network(
            hidden_states=inputs, timestep=timesteps, encoder_hidden_states=embeds
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        further = {"guidance_scale_2": self.low_noise_guidance}
        return super().call_kwargs(positive, negative, guidance) | further


def _check_networks(pipeline: Pipeline) -> None:
    names = [name for name in DENOISERS if getattr(pipeline, name, None) is not None]
    boundary = pipeline.config.boundary_ratio
    if names != ["transformer"] + ["transformer_2"] * (boundary is not None):
        raise ValueError(
            f"this Wan has {' and '.join(names) or 'no network'}, with boundary_ratio={boundary}; "
            "it needs a transformer, and a transformer_2 where there is a boundary between what "
            "noise each is for, and only there: open the folder as it was published"
        )


class WanImageToVideo(Borrowing, FirstFrameFamily, Wan):
    """Wan 2.2 A14B from a picture (https://arxiv.org/abs/2503.20314, section 5.1).

    The first frame stands on channels beside the noise: its latents, with grey frames behind it,
    and four of a mask. Its own call makes nothing without one; here these channels are zeros then.

    Args:
        pipeline: a `WanImageToVideoPipeline`.
        frames, height, width, fps, low_noise_guidance: as of `Wan`.

    Raises:
        ValueError: as `Wan`, or a pipeline that says the first frame in another way.
    """

    unsupported_components = {
        "image_encoder": (
            "this Wan looks at its first frame by CLIP, too, as 2.1 does, which a head here stands "
            "for nothing of; use Wan 2.2 A14B, or 5B as WanPipeline with references=[first]"
        )
    }

    def maker_of(self, pipeline: Pipeline) -> Pipeline:
        if pipeline.config.expand_timesteps:
            raise ValueError(
                "this Wan 2.2 5B is opened as WanPipeline, which its folder names, with "
                "references=[first]"
            )
        settings = {"boundary_ratio": pipeline.config.boundary_ratio}
        without = ("image_encoder", "image_processor")
        return self.borrow(_WanClips, pipeline, without, **settings)

    def encode_reference(self, batch: Tensor) -> Tensor:
        """Latents (B, C, T, h, w) of frames (B, 3, 1, H, W) with grey ones behind them."""
        shape = list(batch.shape)
        shape[2] = self.frames - 1
        return self.encode(torch.cat([batch, batch.new_zeros(shape)], 2))

    def further_channels(self, references: Sequence[EncodedReference], like: Tensor) -> Tensor:
        """A mask (4, T, h, w), one for each frame of a latent one, and the latents (C, T, h, w)."""
        mask = like.new_zeros(int(self.pipeline.vae_scale_factor_temporal), *like.shape[1:])
        latents = torch.zeros_like(like)
        for reference in references:
            self.check_reference(reference, like)
            latents = reference.latents.to(like)
            mask[:, 0] = 1
        return torch.cat([mask, latents])


class _WanClips(WanPipeline):  # type: ignore[misc]  # diffusers is untyped
    """Draws noise of the latents' own channels, for a network that takes more."""

    def prepare_latents(self, batch_size: int, _channels: int, *args: Any, **kwargs: Any) -> Any:
        """Noise of the autoencoder's channels."""
        return super().prepare_latents(batch_size, self.vae.config.z_dim, *args, **kwargs)
