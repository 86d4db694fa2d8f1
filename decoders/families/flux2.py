"""FLUX.2 [klein]: pictures of captions, and of pictures beside them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from anymodal.decoders.appended import AppendedReferences, ReferenceTokens
from anymodal.decoders.families.base import attend_all
from anymodal.decoders.families.flow_images import Patches
from anymodal.decoders.mechanism import ReferenceMechanism
from anymodal.decoders.pipeline import Pipeline
from anymodal.decoders.references import SOURCE, EncodedReference, Reference, ReferenceSlot
from anymodal.media import Image
from anymodal.types import Conditioning

MOST_PICTURES = 10
"""References of one picture (https://github.com/black-forest-labs/flux2, README)."""
_MOST_PIXELS = 1024 * 1024
"""Of a reference; a larger one is made smaller, as its pipeline does."""


class Flux2Klein(Patches):
    """FLUX.2 [klein] (https://github.com/black-forest-labs/flux2): a Qwen3's states, no mask.

    References stand behind the picture's own tokens, each at a place in time of its own.

    Args:
        pipeline: a `Flux2KleinPipeline`.
        size: height and width of the pictures in pixels; nothing in the pipeline tells it.
    """

    max_tokens = 512

    def __init__(self, pipeline: Pipeline, size: int = 1024) -> None:
        super().__init__(pipeline, pipeline.transformer, size)
        channels, side, _ = self.latent_shape
        if side % 2:
            raise ValueError(
                f"size={size}, but FLUX.2 makes pictures of a multiple of {self.side_step} pixels"
            )
        # In patches of 2 x 2, whose channels its autoencoder normalises.
        self.latent_shape = (4 * channels, side // 2, side // 2)
        self.distilled = bool(pipeline.config.is_distilled)
        self.takes_negative_prompt = not self.distilled

    @property
    def side_step(self) -> int:
        return 2 * int(self.pipeline.vae_scale_factor)

    @property
    def tokens(self) -> int:
        return math.prod(self.latent_shape[1:])

    @property
    def shift(self) -> float:
        """Its schedule's shift at the pipeline's own number of steps, on which it depends too."""
        from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

        parameters = inspect.signature(self.pipeline.__call__).parameters
        steps = int(parameters["num_inference_steps"].default)
        return math.exp(compute_empirical_mu(self.tokens, steps))

    @property
    def width(self) -> int:
        return int(self.pipeline.transformer.config.joint_attention_dim)

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        slots = {SOURCE: ReferenceSlot(SOURCE, Image, MOST_PICTURES)}
        return AppendedReferences(self, slots, roles) if roles else None

    def encode(self, batch: Tensor) -> Tensor:
        return torch.as_tensor(self.pipeline._encode_vae_image(batch, None))

    def prepare_reference(self, reference: Reference) -> Tensor:
        from PIL import Image as Pillow

        assert isinstance(reference.media, Image), "its slot says so"
        processor, step = self.pipeline.image_processor, self.side_step
        picture = Pillow.fromarray(reference.media.pixels)
        processor.check_image_input(picture)
        if picture.width * picture.height > _MOST_PIXELS:
            picture = processor._resize_to_target_area(picture, _MOST_PIXELS)
        width, height = (side // step * step for side in picture.size)
        size = {"height": height, "width": width}
        return torch.as_tensor(processor.preprocess(picture, **size, resize_mode="crop")[0])

    def reference_tokens(self, references: Sequence[EncodedReference]) -> ReferenceTokens:
        """The tokens (n, C) of one item's references and their places (n, 4)."""
        latents = [each.latents[None] for each in references]  # of (1, C, h, w)
        tokens = torch.cat([self.pipeline._pack_latents(each)[0] for each in latents])
        return ReferenceTokens(tokens, self.pipeline._prepare_image_ids(latents)[0])

    def place_references(
        self, keywords: Mapping[str, Any], items: Sequence[ReferenceTokens], copies: int
    ) -> dict[str, Any]:
        """The places (B, N, 4) of all tokens."""
        own = keywords["img_ids"]
        places = torch.stack([item.places for item in items]).to(own)  # (B, n, 4)
        return {"img_ids": torch.cat([own, places.repeat(copies, 1, 1)], 1)}

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        embeds, _ = self.pipeline.encode_prompt(list(captions), max_sequence_length=self.length)
        return attend_all(embeds)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        pipeline, embeds = self.pipeline, conditioning.embeds
        output = pipeline.transformer(
            hidden_states=pipeline._pack_latents(inputs),  # (B, C, h, w) -> (B, h * w, C)
            timestep=timesteps / 1000,  # the network multiplies by 1000 itself
            guidance=None,
            encoder_hidden_states=embeds,
            txt_ids=pipeline._prepare_text_ids(embeds).to(embeds.device),
            img_ids=pipeline._prepare_latent_ids(inputs).to(inputs.device),
        ).sample
        return self.unpack(output)

    def pack_step(self, latents: Tensor) -> Tensor:
        return torch.as_tensor(self.pipeline._pack_latents(latents))

    def latent_mask(self, mask: Tensor) -> Tensor:
        # As its pipeline of inpainting, whose borders are soft.
        return interpolate(mask[None], self.latent_shape[1:], mode="bilinear")[0]

    def unpack(self, patches: Tensor) -> Tensor:
        """Turn patches (B, h * w, C) into latents (B, C, h, w)."""
        return torch.as_tensor(patches.transpose(1, 2).unflatten(2, self.latent_shape[1:]))

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return {
            "prompt_embeds": positive.embeds,
            "negative_prompt_embeds": None if negative is None else negative.embeds,
            "guidance_scale": 1.0 if self.distilled else guidance,
            "height": self.size,
            "width": self.size,
        }
