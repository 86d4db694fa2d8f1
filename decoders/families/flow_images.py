"""Families of pipelines that make pictures with transformers that predict the flow."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from anymodal.decoders.families.base import attend_all
from anymodal.decoders.families.images import MaskedImages, SquareImages
from anymodal.decoders.pipeline import Pipeline
from anymodal.types import Conditioning


class Patches(SquareImages):
    """Transformers over patches of 2 × 2 latents, whose number may shift the schedule."""

    @property
    def side_step(self) -> int:
        return 2 * int(self.pipeline.vae_scale_factor)

    @property
    def tokens(self) -> int:
        _, height, width = self.latent_shape
        return (height // 2) * (width // 2)


class StableDiffusion3(Patches):
    """Stable Diffusion 3 (https://arxiv.org/abs/2403.03206), which takes no mask.

    Two CLIP encoders side by side, then T5's tokens, all as wide as T5; without T5, zeros.
    """

    max_tokens = 256
    caption_encoders = ("text_encoder", "text_encoder_2", "text_encoder_3")

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline, pipeline.transformer)

    @property
    def _t5_length(self) -> int:
        tokenizer = self.pipeline.tokenizer_3
        return min(
            self.max_tokens, self.max_tokens if tokenizer is None else tokenizer.model_max_length
        )

    @property
    def length(self) -> int:
        return int(self.pipeline.tokenizer_max_length) + self._t5_length

    @property
    def width(self) -> int:
        return int(self.pipeline.transformer.config.joint_attention_dim)

    @property
    def pooled(self) -> int:
        return int(self.pipeline.transformer.config.pooled_projection_dim)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        embeds, _, pooled, _ = self.pipeline.encode_prompt(
            list(captions),
            None,
            None,
            do_classifier_free_guidance=False,
            max_sequence_length=self._t5_length,
        )
        return attend_all(embeds, pooled)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.pipeline.transformer(
            hidden_states=inputs,
            timestep=timesteps,
            encoder_hidden_states=conditioning.embeds,
            pooled_projections=conditioning.pooled,
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "pooled_prompt_embeds": positive.pooled,
            "negative_pooled_prompt_embeds": None if negative is None else negative.pooled,
        }


class Flux(Patches):
    """Flux (https://github.com/black-forest-labs/flux): T5's tokens, CLIP pooled, no mask.

    A distilled Flux takes its guidance as an input; others get classifier-free guidance.

    Args:
        pipeline: a `FluxPipeline`.
        size: height and width of the pictures in pixels; nothing in the pipeline tells it.
    """

    max_tokens = 512
    caption_encoders = ("text_encoder", "text_encoder_2")

    def __init__(self, pipeline: Pipeline, size: int = 1024) -> None:
        super().__init__(pipeline, pipeline.transformer, size)
        if self.latent_shape[1] % 2:
            step = 2 * int(pipeline.vae_scale_factor)
            raise ValueError(f"size={size}, but Flux makes pictures of a multiple of {step} pixels")
        self.distilled = bool(pipeline.transformer.config.guidance_embeds)
        self.takes_negative_prompt = not self.distilled
        # What a distilled network is asked while it learns: the pipeline's own default.
        self.guidance = float(
            inspect.signature(pipeline.__call__).parameters["guidance_scale"].default
        )

    @property
    def length(self) -> int:
        return min(int(self.pipeline.tokenizer_2.model_max_length), self.max_tokens)

    @property
    def width(self) -> int:
        return int(self.pipeline.transformer.config.joint_attention_dim)

    @property
    def pooled(self) -> int:
        return int(self.pipeline.transformer.config.pooled_projection_dim)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        embeds, pooled, _ = self.pipeline.encode_prompt(
            list(captions), max_sequence_length=self.length
        )
        return attend_all(embeds, pooled)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        count = len(inputs)
        output = self.pipeline.transformer(
            hidden_states=self.pack_latents(inputs),
            timestep=timesteps / 1000,  # the network multiplies by 1000 itself
            guidance=inputs.new_full((count,), self.guidance) if self.distilled else None,
            pooled_projections=conditioning.pooled,
            encoder_hidden_states=conditioning.embeds,
            txt_ids=inputs.new_zeros(self.length, 3),
            img_ids=self.token_places(inputs),
        ).sample
        return self.unpack(output)

    def token_places(self, latents: Tensor) -> Tensor:
        """The places (N, 3) of the tokens of latents (B, C, h, w): layer, row and column."""
        count, _, height, width = latents.shape
        places = self.pipeline._prepare_latent_image_ids(
            count, height // 2, width // 2, latents.device, latents.dtype
        )
        return torch.as_tensor(places)

    def pack_latents(self, latents: Tensor) -> Tensor:
        return torch.as_tensor(self.pipeline._pack_latents(latents, *latents.shape))

    def unpack(self, patches: Tensor) -> Tensor:
        """Turn patches (B, N, 4C) into latents (B, C, h, w)."""
        factor = self.pipeline.vae_scale_factor
        return torch.as_tensor(self.pipeline._unpack_latents(patches, self.size, self.size, factor))

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        negative = None if self.distilled else negative
        return {
            "prompt_embeds": positive.embeds,
            "pooled_prompt_embeds": positive.pooled,
            "negative_prompt_embeds": None if negative is None else negative.embeds,
            "negative_pooled_prompt_embeds": None if negative is None else negative.pooled,
            "height": self.size,
            "width": self.size,
        } | ({"guidance_scale": guidance} if self.distilled else {"true_cfg_scale": guidance})


class Sana(MaskedImages):
    """Sana (https://arxiv.org/abs/2410.10629): Gemma's tokens over a deeper autoencoder.

    Captions stand behind the instruction that the pipeline's `__call__` has by default, the empty
    caption does not.
    """

    max_tokens = 300
    third_branch = True

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline, pipeline.transformer)
        self.instruction = default(pipeline, "complex_human_instruction")

    def encode(self, batch: Tensor) -> Tensor:
        vae = self.pipeline.vae
        return torch.as_tensor(vae.encode(batch).latent * vae.config.scaling_factor)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        return self._encode(captions, self.instruction)

    @property
    def side_step(self) -> int:
        return 32  # its pipeline takes no other, whatever the autoencoder

    def negative_conditioning(self, caption: str) -> Conditioning:
        return self._encode([caption], None)

    def _encode(self, captions: Sequence[str], instruction: list[str] | None) -> Conditioning:
        embeds, mask, _, _ = self.pipeline.encode_prompt(
            list(captions),
            do_classifier_free_guidance=False,
            max_sequence_length=self.length,
            complex_human_instruction=instruction,
        )
        return Conditioning(embeds, mask.bool())

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        network = self.pipeline.transformer
        output: Tensor = network(
            inputs,
            encoder_hidden_states=conditioning.embeds,
            encoder_attention_mask=conditioning.mask,
            timestep=timesteps * network.config.timestep_scale,
        ).sample
        return output[:, : inputs.shape[1]]  # (B, C or 2C, h, w) -> without a learned variance


class ZImage(Patches):
    """Z-Image (https://arxiv.org/abs/2511.22699): the chat states of a Qwen3, as many as there are.

    Args:
        pipeline: a `ZImagePipeline`.
        size: height and width of the pictures in pixels; nothing in the pipeline tells it.
    """

    max_tokens = 512

    def __init__(self, pipeline: Pipeline, size: int = 1024) -> None:
        super().__init__(pipeline, pipeline.transformer, size)
        if self.latent_shape[1] % 2:
            step = 2 * int(pipeline.vae_scale_factor)
            raise ValueError(
                f"size={size}, but Z-Image makes pictures of a multiple of {step} pixels"
            )

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        states = self.pipeline._encode_prompt(list(captions), max_sequence_length=self.length)
        mask = torch.zeros(len(states), self.length, dtype=torch.bool, device=states[0].device)
        for row, each in zip(mask, states, strict=True):
            row[: len(each)] = True
        embeds = states[0].new_zeros(*mask.shape, self.width)
        return Conditioning(embeds.masked_scatter(mask.unsqueeze(-1), torch.cat(states)), mask)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        # The network counts time from noise to picture, and gives the flow in that direction.
        output = self.pipeline.transformer(
            list(inputs.unsqueeze(2)), (1000 - timesteps) / 1000, _crop_padding(conditioning)
        ).sample
        return -torch.stack(list(output)).squeeze(2)  # B of (C, 1, h, w) -> (B, C, h, w)

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return {
            "prompt_embeds": _crop_padding(positive),
            "negative_prompt_embeds": None if negative is None else _crop_padding(negative),
            "guidance_scale": max(guidance - 1, 0),  # its pipeline adds what others scale
            "height": self.size,
            "width": self.size,
        }


def default(pipeline: Pipeline, argument: str) -> Any:
    """The default of an argument of the pipeline's `__call__`."""
    return inspect.signature(pipeline.__call__).parameters[argument].default


def _crop_padding(conditioning: Conditioning) -> list[Tensor]:
    """Give each item's real positions (L', C)."""
    pairs = zip(conditioning.embeds, conditioning.mask, strict=True)
    return [embeds[mask] for embeds, mask in pairs]
