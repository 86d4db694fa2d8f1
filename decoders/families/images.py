"""Families of pipelines that make pictures by epsilon, v or flow, with UNets and PixArt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from anymodal.decoders.families.base import Family, attend_all, center_crop_square, to_bytes
from anymodal.decoders.families.latents import latent_channels
from anymodal.decoders.pipeline import Network, Pipeline
from anymodal.decoders.references import SOURCE
from anymodal.media import Image, Media
from anymodal.types import Conditioning


class SquareImages(Family):
    """Families over an `AutoencoderKL` of square pictures, `size` wide.

    Where `size` is None, the network's configuration tells it.
    """

    media = Image
    inpaints = True

    def __init__(self, pipeline: Pipeline, network: Network, size: int | None = None) -> None:
        super().__init__(pipeline)
        factor = int(pipeline.vae_scale_factor)
        self.size = int(network.config.sample_size) * factor if size is None else size
        if self.size < factor or self.size % factor:
            raise ValueError(
                f"size={size}, but {type(pipeline).__name__} makes pictures of a multiple of "
                f"{factor} pixels; change size"
            )
        self.latent_shape = (latent_channels(pipeline.vae), *[self.size // factor] * 2)
        self.media_shape = (3, self.size, self.size)

    def prepare(self, media: Media) -> Tensor:
        assert isinstance(media, Image), "DiffusionDecoder.prepare refuses others"
        return center_crop_square(media.pixels, self.size)

    def encode(self, batch: Tensor) -> Tensor:
        vae = self.pipeline.vae
        shift = vae.config.get("shift_factor") or 0.0
        return torch.as_tensor(
            (vae.encode(batch).latent_dist.mode() - shift) * vae.config.scaling_factor
        )

    def postprocess(self, output: np.ndarray) -> Media:
        return Image(to_bytes(output))


class MaskedImages(SquareImages):
    """Transformers that are told the mask of the caption's padding, and the pictures' size."""

    takes_mask = True

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "prompt_attention_mask": positive.mask.long(),
            "negative_prompt_attention_mask": None if negative is None else negative.mask.long(),
            "height": self.size,
            "width": self.size,
            "use_resolution_binning": False,
        }


class PixArt(MaskedImages):
    """PixArt-α (https://arxiv.org/abs/2310.00426)."""

    max_tokens = 120
    min_steps = 2  # its pipeline keeps a single step for distilled schedulers, and fails on others
    legacy_callback = True
    stacked_roles = {SOURCE: Image}
    input_layer = "pos_embed.proj"

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline, pipeline.transformer)

    def preprocess_prompt(self, captions: Sequence[str]) -> list[str]:
        return list(self.pipeline._text_preprocessing(list(captions)))

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        network = self.pipeline.transformer
        extra: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
        if network.use_additional_conditions:
            size = torch.full((len(inputs), 2), float(self.size), device=inputs.device)
            extra = {"resolution": size, "aspect_ratio": torch.ones_like(size[:, :1])}
        output: Tensor = network(
            inputs,
            encoder_hidden_states=conditioning.embeds,
            encoder_attention_mask=conditioning.mask,
            timestep=timesteps,
            added_cond_kwargs=extra,
        ).sample
        return output[:, : inputs.shape[1]]  # (B, C or 2C, h, w) -> without a learned variance


class PixArtSigma(PixArt):
    """PixArt-Σ (https://arxiv.org/abs/2403.04692): PixArt-α with longer captions."""

    max_tokens = 300
    min_steps = 1


class StableDiffusion(SquareImages):
    """Stable Diffusion 1 and 2 (https://arxiv.org/abs/2112.10752), a UNet that takes no mask."""

    stacked_roles = {SOURCE: Image}
    input_layer = "conv_in"

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline, pipeline.unet)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        # One image for each prompt, and no empty prompt beside it.
        return attend_all(self.pipeline.encode_prompt(list(captions), self.device, 1, False)[0])

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.pipeline.unet(
            inputs, timesteps, encoder_hidden_states=conditioning.embeds
        ).sample
        return output


class StableDiffusionXL(SquareImages):
    """Stable Diffusion XL (https://arxiv.org/abs/2307.01952), conditioned on sizes, too.

    Two caption encoders stand side by side in the width; the second's pooled output goes with
    the size of the picture and of its crop, which are those of a whole picture of `size`.
    """

    caption_encoders = ("text_encoder", "text_encoder_2")
    stacked_roles = {SOURCE: Image}
    input_layer = "conv_in"

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline, pipeline.unet)

    @property
    def width(self) -> int:
        encoders = (self.pipeline.text_encoder, self.pipeline.text_encoder_2)
        return sum(int(encoder.config.hidden_size) for encoder in encoders)

    @property
    def pooled(self) -> int:
        return int(self.pipeline.text_encoder_2.config.projection_dim)

    def encode(self, batch: Tensor) -> Tensor:
        vae = self.pipeline.vae
        if vae.config.get("latents_mean") is None or vae.config.get("latents_std") is None:
            return super().encode(batch)
        latents = vae.encode(batch).latent_dist.mode()
        mean, std = (
            torch.tensor(vae.config[name]).view(1, -1, 1, 1).to(latents)
            for name in ("latents_mean", "latents_std")
        )
        return torch.as_tensor((latents - mean) * vae.config.scaling_factor / std)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        embeds, _, pooled, _ = self.pipeline.encode_prompt(
            list(captions), do_classifier_free_guidance=False
        )
        return attend_all(embeds, pooled)

    def null_conditioning(self) -> Conditioning:
        embeds, mask, pooled = self.embed_captions([""])
        if self.pipeline.config.force_zeros_for_empty_prompt and pooled is not None:
            embeds, pooled = torch.zeros_like(embeds), torch.zeros_like(pooled)
        return Conditioning(embeds, mask, pooled)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        size = (self.size, self.size)
        # Original size, corner of the crop, target size (SDXL, section 2.2).
        sizes = self.pipeline._get_add_time_ids(
            size, (0, 0), size, inputs.dtype, text_encoder_projection_dim=self.pooled
        )
        output: Tensor = self.pipeline.unet(
            inputs,
            timesteps,
            encoder_hidden_states=conditioning.embeds,
            added_cond_kwargs={
                "text_embeds": conditioning.pooled,
                "time_ids": sizes.to(inputs.device).expand(len(inputs), -1),
            },
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "pooled_prompt_embeds": positive.pooled,
            "negative_pooled_prompt_embeds": None if negative is None else negative.pooled,
        }
