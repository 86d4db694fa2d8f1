"""Qwen-Image: pictures of captions, and of pictures that its caption encoder looks at too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from diffusers import QwenImagePipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus
from PIL import Image as Pillow
from torch import Tensor

from anymodal.decoders.appended import AppendedReferences, ReferenceTokens
from anymodal.decoders.families.borrowing import Borrowing
from anymodal.decoders.families.flow_images import Patches
from anymodal.decoders.families.latents import standardize_latents
from anymodal.decoders.mechanism import ReferenceMechanism
from anymodal.decoders.pipeline import Pipeline
from anymodal.decoders.references import (
    SOURCE,
    EncodedReference,
    Reference,
    References,
    ReferenceSlot,
)
from anymodal.media import Image
from anymodal.types import Conditioning

MOST_PICTURES = 3
"""References of one picture (https://huggingface.co/Qwen/Qwen-Image-Edit-2509)."""


class QwenImage(Patches):
    """Qwen-Image (https://arxiv.org/abs/2508.02324): the states of a Qwen2.5-VL, with their mask.

    Args:
        pipeline: a `QwenImagePipeline`.
        size: height and width of the pictures in pixels; nothing in the pipeline tells it.

    Raises:
        ValueError: a network that takes its guidance as an input, or a size that it can't make.
    """

    max_tokens = 512

    def __init__(self, pipeline: Pipeline, size: int = 1024) -> None:
        pipeline = self.maker_of(pipeline)
        super().__init__(pipeline, pipeline.transformer, size)
        if self.latent_shape[1] % 2:
            raise ValueError(
                f"size={size}, but Qwen-Image makes pictures of a multiple of {self.side_step} "
                "pixels"
            )
        if pipeline.transformer.config.guidance_embeds:
            raise ValueError(
                "this Qwen-Image takes its guidance as an input, as none that was published does; "
                "use one with guidance_embeds=False"
            )

    @property
    def width(self) -> int:
        return int(self.pipeline.transformer.config.joint_attention_dim)

    def encode(self, batch: Tensor) -> Tensor:
        vae = self.pipeline.vae
        latents = vae.encode(batch.unsqueeze(2)).latent_dist.mode()  # a clip of one frame
        return standardize_latents(vae, latents).squeeze(2)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        states = self.pipeline.encode_prompt(list(captions), max_sequence_length=self.length)
        return self.pad(*states)

    def pad(self, embeds: Tensor, mask: Tensor | None) -> Conditioning:
        """A conditioning of states (B, L', C), where L' is the longest caption's length.

        Raises:
            ValueError: they are longer than the conditioning.
        """
        count, length, width = embeds.shape
        if length > self.length:
            raise ValueError(
                f"a caption with what is shown beside it takes {length} positions, of "
                f"{self.length}; make it shorter, or show less"
            )
        padded = embeds.new_zeros(count, self.length, width)
        padded[:, :length] = embeds
        full = torch.zeros(count, self.length, dtype=torch.bool, device=embeds.device)
        full[:, :length] = True if mask is None else mask.bool()
        return Conditioning(padded, full)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        shape = (1, inputs.shape[2] // 2, inputs.shape[3] // 2)
        output = self.pipeline.transformer(
            hidden_states=self.pack_latents(inputs),
            timestep=timesteps / 1000,  # the network multiplies by 1000 itself
            encoder_hidden_states=conditioning.embeds,
            encoder_hidden_states_mask=conditioning.mask,
            img_shapes=[[shape]] * len(inputs),
        ).sample
        return self.unpack(output)

    def pack_latents(self, latents: Tensor) -> Tensor:
        return torch.as_tensor(self.pipeline._pack_latents(latents, *latents.shape))

    def unpack(self, patches: Tensor) -> Tensor:
        """Turn patches (B, N, 4C) into latents (B, C, h, w)."""
        factor = self.pipeline.vae_scale_factor
        latents = self.pipeline._unpack_latents(patches, self.size, self.size, factor)
        return torch.as_tensor(latents).squeeze(2)

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        embeds, mask = _crop_padding(positive)
        negative_embeds, negative_mask = (
            (None, None) if negative is None else _crop_padding(negative)
        )
        return {
            "prompt_embeds": embeds,
            "prompt_embeds_mask": mask,
            "negative_prompt_embeds": negative_embeds,
            "negative_prompt_embeds_mask": negative_mask,
            "true_cfg_scale": guidance,
            "height": self.size,
            "width": self.size,
            "max_sequence_length": self.length,
        }


class QwenImageEdit(Borrowing, QwenImage):
    """Qwen-Image-Edit from 2509 on: up to three pictures, for its caption encoder and its denoiser.

    Its own pipeline makes nothing without a picture, so the call is Qwen-Image's, with references
    behind the picture's own tokens.

    Args:
        pipeline: a `QwenImageEditPlusPipeline`.
        size: height and width of the pictures in pixels; references keep about a megapixel.
    """

    max_tokens = 1024
    sees_references = True

    def maker_of(self, pipeline: Pipeline) -> Pipeline:
        maker: Any = self.borrow(QwenImagePipeline, pipeline, without=["processor"])
        maker.prompt_template_encode = pipeline.prompt_template_encode
        maker.prompt_template_encode_start_idx = pipeline.prompt_template_encode_start_idx
        return cast(Pipeline, maker)

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        slots = {SOURCE: ReferenceSlot(SOURCE, Image, MOST_PICTURES)}
        return AppendedReferences(self, slots, roles) if roles else None

    def prepare_reference(self, reference: Reference) -> Tensor:
        picture = _picture(reference)
        size = _scaled(picture, edit_plus.VAE_IMAGE_SIZE)
        return torch.as_tensor(self.published.image_processor.preprocess(picture, *size)[0])

    def reference_tokens(self, references: Sequence[EncodedReference]) -> ReferenceTokens:
        """The tokens (n, 4C) of one item's references, and their sizes in tokens."""
        latents = [each.latents[None] for each in references]  # of (1, C, h, w)
        tokens = torch.cat([self.pack_latents(each)[0] for each in latents])
        return ReferenceTokens(tokens, [(1, *_halves(each)) for each in latents])

    def place_references(
        self, keywords: Mapping[str, Any], items: Sequence[ReferenceTokens], copies: int
    ) -> dict[str, Any]:
        """The sizes of the denoiser's pictures, with those of each item's references."""
        shown = [item.places for item in items] * copies
        pairs = zip(keywords["img_shapes"], shown, strict=True)
        return {"img_shapes": [[*own, *further] for own, further in pairs]}

    def embed_captions_beside(
        self, captions: Sequence[str], references: References
    ) -> Conditioning:
        items = []
        for caption, item in zip(captions, references, strict=True):
            pictures = [_picture(each) for each in item]
            resize = self.published.image_processor.resize
            shown = [
                resize(each, *_scaled(each, edit_plus.CONDITION_IMAGE_SIZE)) for each in pictures
            ]
            items.append(self.pad(*self.published.encode_prompt([caption], shown or None)))
        return Conditioning(
            torch.cat([item.embeds for item in items]), torch.cat([item.mask for item in items])
        )


def _crop_padding(conditioning: Conditioning) -> tuple[Tensor, Tensor]:
    """Embeddings and mask as far as the longest item goes, as its pipeline pads them."""
    length = int(conditioning.mask.any(0).nonzero().max()) + 1 if conditioning.mask.any() else 1
    return conditioning.embeds[:, :length], conditioning.mask[:, :length].long()


def _picture(reference: Reference) -> Pillow.Image:
    assert isinstance(reference.media, Image), "its slot says so"
    return Pillow.fromarray(reference.media.pixels)


def _scaled(picture: Pillow.Image, area: int) -> tuple[int, int]:
    """Height and width of a picture that is made about so many pixels large."""
    width, height = edit_plus.calculate_dimensions(area, picture.width / picture.height)
    return int(height), int(width)


def _halves(latents: Tensor) -> tuple[int, int]:
    return latents.shape[-2] // 2, latents.shape[-1] // 2
