"""Motif-Video: films of captions, and from a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from diffusers import MotifVideoImage2VideoPipeline
from torch import Tensor

from anymodal.decoders.channels import FirstFrameFamily
from anymodal.decoders.families.causal_videos import Causal
from anymodal.decoders.families.guided import Guided, check_guider
from anymodal.decoders.mechanism import ReferenceMechanism
from anymodal.decoders.pipeline import Pipeline
from anymodal.decoders.references import EncodedReference, EncodedReferences
from anymodal.types import Conditioning


class MotifVideo(FirstFrameFamily, Guided, Causal):
    """Motif-Video (https://huggingface.co/Motif-Technologies/Motif-Video-2B): T5Gemma 2.

    A first frame stands on channels beside the noise, its latents and a mask, and before the
    caption, as what the caption encoder's own tower sees of it.

    Args:
        pipeline: a `MotifVideoPipeline`.
        frames, height, width: of the films; nothing in the pipeline tells them.
        fps: frames a second.

    Raises:
        ValueError: a size that it can't make, or guidance of other weights than one.
    """

    max_tokens = 512
    takes_mask = True
    reference_encoders = ("text_encoder",)

    def __init__(
        self,
        pipeline: Pipeline,
        frames: int = 121,
        height: int = 736,
        width: int = 1280,
        fps: float = 24.0,
    ) -> None:
        check_guider(pipeline, "Motif-Video")
        self.feature_extractor = pipeline.feature_extractor
        factor, config = int(pipeline.vae_scale_factor_spatial), pipeline.transformer.config
        super().__init__(
            pipeline,
            frames,
            (height, width),
            fps,
            compression=int(pipeline.vae_scale_factor_temporal),
            factor=factor,
            step=factor * int(config.patch_size),
        )

    @property
    def width(self) -> int:
        return int(self.pipeline.transformer.config.text_embed_dim)

    @property
    def tokens(self) -> int:
        config, (frames, height, width) = self.pipeline.transformer.config, self.grid
        side = int(config.patch_size)
        return frames // int(config.patch_size_t) * (height // side) * (width // side)

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        mechanism = super().reference_mechanism(roles)
        width = self.pipeline.transformer.config.image_embed_dim
        if mechanism is not None and (self.feature_extractor is None or width is None):
            part = "feature_extractor" if width is not None else "image_embed_dim in its network"
            raise ValueError(
                f"references={list(roles)}, but this Motif-Video has no {part}, by which it looks "
                "at a first frame; leave them out, or open a folder that has one"
            )
        return mechanism

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        embeds, _, mask, _ = self.pipeline.encode_prompt(
            list(captions), max_sequence_length=self.length
        )
        return Conditioning(embeds, mask.bool())

    def encode(self, batch: Tensor) -> Tensor:
        vae = self.pipeline.vae
        mean, deviation = vae.config.latents_mean, vae.config.latents_std
        latents = vae.encode(batch).latent_dist.mode()
        return torch.as_tensor(self.pipeline._normalize_latents(latents, mean, deviation))

    def encode_reference(self, batch: Tensor) -> Tensor:
        """Latents and the tower's states (B, n), side by side, of pictures (B, 3, 1, H, W)."""
        tower = self.pipeline.text_encoder.vision_tower
        states = MotifVideoImage2VideoPipeline._get_image_embeds(
            image_encoder=tower,
            feature_extractor=self.feature_extractor,
            image=((batch[:, :, 0] + 1) / 2).clamp(0, 1),
            device=tower.device,  # where it waits, if it does, since it is called by itself
        )
        latents = self.encode(batch)
        return torch.cat([latents.flatten(1), states.flatten(1).to(latents)], 1)

    def _split(self, reference: EncodedReference, like: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (C, 1, h, w) and states (N, W) of a reference, beside latents (C, T, h, w)."""
        own = math.prod((self.num_channels, *self.grid[1:]))
        frame = reference.latents[:own].view(self.num_channels, 1, *self.grid[1:])
        self.check_reference(EncodedReference(reference.role, frame), like[:, :1])
        width = int(self.pipeline.transformer.config.image_embed_dim)
        return frame.to(like), reference.latents[own:].view(-1, width).to(like)

    def further_channels(self, references: Sequence[EncodedReference], like: Tensor) -> Tensor:
        """The latents (C, T, h, w) of a clip that has the first frame alone, and its mask."""
        further = like.new_zeros(len(like) + 1, *like.shape[1:])
        for reference in references:
            further[:-1, :1], _ = self._split(reference, like)
            further[-1, 0] = 1
        return further

    def further_arguments(
        self, references: EncodedReferences, like: Tensor
    ) -> Mapping[str, Tensor]:
        """States of the vision tower, of each item's first frame."""
        items = zip(references, like, strict=True)
        return {"image_embeds": torch.stack([self._split(each, own)[1] for (each,), own in items])}

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.pipeline.transformer(
            hidden_states=inputs,
            timestep=timesteps,
            encoder_hidden_states=conditioning.embeds,
            encoder_attention_mask=conditioning.mask,
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "prompt_attention_mask": positive.mask,
            "negative_prompt_attention_mask": None if negative is None else negative.mask,
        }
