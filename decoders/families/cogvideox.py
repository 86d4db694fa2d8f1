"""CogVideoX: films of captions, and from a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import CogVideoXPipeline
from torch import Tensor

from anymodal.decoders.channels import FirstFrameFamily
from anymodal.decoders.families.base import attend_all
from anymodal.decoders.families.borrowing import Borrowing
from anymodal.decoders.families.causal_videos import Causal
from anymodal.decoders.pipeline import Pipeline
from anymodal.decoders.references import EncodedReference
from anymodal.types import Conditioning


class CogVideoX(Causal):
    """CogVideoX (https://arxiv.org/abs/2408.06072), which takes no mask; latents are (T, C, h, w).

    Args:
        pipeline: a `CogVideoXPipeline`.
        frames, height, width: of the films; None for the network's own.
        fps: frames a second, which nothing in the pipeline tells.

    Raises:
        ValueError: the network's patches span frames, as those of CogVideoX 1.5 do, or a size that
            it can't make.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        fps: float = 8.0,
    ) -> None:
        pipeline = self.maker_of(pipeline)
        config, factor = pipeline.transformer.config, int(pipeline.vae_scale_factor_spatial)
        if config.patch_size_t is not None:
            raise ValueError(
                "this CogVideoX has patches of several frames, which its pipeline pads while it "
                "samples and no loss here does; use CogVideoX 1.0 (2B or 5B)"
            )
        compression = int(pipeline.vae_scale_factor_temporal)
        super().__init__(
            pipeline,
            int(config.sample_frames) if frames is None else frames,
            (height or config.sample_height * factor, width or config.sample_width * factor),
            fps,
            compression=compression,
            factor=factor,
            step=factor * int(config.patch_size),
            group=2 * compression,  # an even number of latent frames is decoded to more frames
        )
        self.latent_shape = (self.grid[0], self.num_channels, *self.grid[1:])

    def check_size(self, height: int | None, width: int | None, frames: int | None) -> None:
        super().check_size(height, width, frames)
        config, factor = self.pipeline.transformer.config, self.pipeline.vae_scale_factor_spatial
        if not config.use_learned_positional_embeddings:
            return
        learned = {
            "height": (height, config.sample_height * factor),
            "width": (width, config.sample_width * factor),
            "frames": (frames, config.sample_frames),
        }
        for name, (value, own) in learned.items():
            if value not in (None, own):
                raise ValueError(
                    f"{name}={value}, but this CogVideoX has learned its positions of {name}={own} "
                    "alone; leave it out"
                )

    @property
    def length(self) -> int:
        return int(self.pipeline.transformer.config.max_text_seq_length)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        embeds, _ = self.pipeline.encode_prompt(
            list(captions), do_classifier_free_guidance=False, max_sequence_length=self.length
        )
        return attend_all(embeds)

    def encode(self, batch: Tensor) -> Tensor:
        latents = self.pipeline.vae.encode(batch).latent_dist.mode().transpose(1, 2)
        return torch.as_tensor(latents * self.pipeline.vae_scaling_factor_image)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        pipeline, rotary = self.pipeline, None
        if pipeline.transformer.config.use_rotary_positional_embeddings:
            rotary = pipeline._prepare_rotary_positional_embeddings(
                *self.size, inputs.shape[1], inputs.device
            )
        output: Tensor = pipeline.transformer(
            hidden_states=inputs,
            encoder_hidden_states=conditioning.embeds,
            timestep=timesteps,
            image_rotary_emb=rotary,
        ).sample
        return output


class CogVideoXImageToVideo(Borrowing, FirstFrameFamily, CogVideoX):
    """CogVideoX from a picture (https://arxiv.org/abs/2408.06072, section 3.4).

    The first frame's latents stand on channels beside the noise, before zeros. Its own call makes
    nothing without a picture; here all are zeros then, as they were in a part of its training.

    Args:
        pipeline: a `CogVideoXImageToVideoPipeline`.
        frames, height, width, fps: as of `CogVideoX`.
    """

    channel_axis = 2

    def maker_of(self, pipeline: Pipeline) -> Pipeline:
        return self.borrow(_CogVideoXClips, pipeline)

    def further_channels(self, references: Sequence[EncodedReference], like: Tensor) -> Tensor:
        """The latents (T, C, h, w) of a clip that has the first frame alone."""
        further = torch.zeros_like(like)
        for reference in references:
            self.check_reference(reference, like[:1])
            further[:1] = reference.latents.to(like)
        return further


class _CogVideoXClips(CogVideoXPipeline):  # type: ignore[misc]  # diffusers is untyped
    """Draws noise of the latents' own channels, for a network that takes more."""

    def prepare_latents(self, batch_size: int, _channels: int, *args: Any, **kwargs: Any) -> Any:
        """Noise of the autoencoder's channels."""
        channels = self.vae.config.latent_channels
        return super().prepare_latents(batch_size, channels, *args, **kwargs)
