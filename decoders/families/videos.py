"""Families of pipelines that make films."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from anymodal.decoders.families.base import (
    Family,
    attend_all,
    mask_padding,
    resize_center_crop,
    to_bytes,
)
from anymodal.decoders.pipeline import Network, Pipeline
from anymodal.decoders.references import FIRST, LAST, SOURCE, EncodedReference, Reference
from anymodal.media import Image, Media, Video
from anymodal.types import Conditioning


class Frames(Family):
    """Families that make `frames` frames, (height, width) in pixels, at `fps` a second."""

    media = Video
    frames: int
    size: tuple[int, int]
    fps: float

    def prepare(self, media: Media) -> Tensor:
        assert isinstance(media, Video), "DiffusionDecoder.prepare refuses others"
        frames = media.sample(np.arange(self.frames) / self.fps)
        return torch.stack([resize_center_crop(frame, *self.size) for frame in frames], dim=1)

    def prepare_reference(self, reference: Reference) -> Tensor:
        if isinstance(reference.media, Image):  # (3, H, W) -> a clip of one frame (3, 1, H, W)
            return resize_center_crop(reference.media.pixels, *self.size).unsqueeze(1)
        return self.prepare(reference.media)

    def postprocess(self, output: np.ndarray) -> Media:
        return Video(to_bytes(output), self.fps)


class FrameByFrame(Frames):
    """Frames through a picture autoencoder. The pipeline has no frame rate: `fps` is to be told."""

    stacked_roles = {SOURCE: Video, FIRST: Image, LAST: Image}

    def __init__(
        self,
        pipeline: Pipeline,
        network: Network,
        frames: int,
        fps: float,
        height: int | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__(pipeline)
        factor = int(pipeline.vae_scale_factor)
        side = int(network.config.sample_size) * factor
        self.frames, self.fps = frames, fps
        self.size = (side if height is None else height, side if width is None else width)
        for name, size in zip(("height", "width"), self.size, strict=True):
            if size < factor or size % factor:
                raise ValueError(
                    f"{name}={size}, but {type(pipeline).__name__} makes films of a multiple of "
                    f"{factor} pixels; change {name}"
                )
        latent = (size // factor for size in self.size)
        self.latent_shape = (int(pipeline.vae.config.latent_channels), frames, *latent)
        self.media_shape = (3, frames, *self.size)

    def encode(self, batch: Tensor) -> Tensor:
        vae = self.pipeline.vae
        flat = batch.transpose(1, 2).flatten(0, 1)  # (B, 3, T, H, W) -> (B * T, 3, H, W)
        latents = vae.encode(flat).latent_dist.mode() * vae.config.scaling_factor
        latents = latents.unflatten(0, (-1, batch.shape[2]))
        return torch.as_tensor(latents.transpose(1, 2))  # (B, T, C, h, w) -> (B, C, T, h, w)

    def spread(self, reference: EncodedReference, latents: Tensor) -> tuple[Tensor, Tensor]:
        if reference.role not in (FIRST, LAST):
            return super().spread(reference, latents)
        # A picture stands beside every frame, as the network sees each frame alone in many layers,
        # and the mask tells which frame it is.
        everywhere = reference.latents.expand(-1, latents.shape[1], -1, -1)
        values, mask = super().spread(EncodedReference(reference.role, everywhere), latents)
        place = 0 if reference.role == FIRST else latents.shape[1] - 1
        mask = torch.zeros_like(mask).index_fill(1, torch.tensor([place], device=mask.device), 1.0)
        return values, mask


class Latte(FrameByFrame):
    """Latte (https://arxiv.org/abs/2401.03048). The network takes no mask, so padding is zeroed.

    So does its pipeline with several captions; a single one's padding it cuts off.

    Args:
        pipeline: a `LattePipeline`.
        fps: frames a second, which nothing in the pipeline tells.
        padded: whether guidance leads away from the empty caption with its padding as it is, as the
            pipeline does by default, and not zeroed as with other captions.
    """

    max_tokens = 120
    input_layer = "pos_embed.proj"

    def __init__(self, pipeline: Pipeline, fps: float = 8.0, padded: bool = False) -> None:
        network, self.padded = pipeline.transformer, padded
        super().__init__(pipeline, network, int(network.config.video_length), fps)

    def preprocess_prompt(self, captions: Sequence[str]) -> list[str]:
        return list(self.pipeline._text_preprocessing(list(captions)))

    def negative_conditioning(self, caption: str) -> Conditioning:
        if self.padded:
            return attend_all(self.encode_padded([caption]).embeds)
        return super().negative_conditioning(caption)

    def apply_mask(self, conditioning: Conditioning) -> Conditioning:
        return mask_padding(conditioning)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.pipeline.transformer(
            inputs, timestep=timesteps, encoder_hidden_states=conditioning.embeds
        ).sample
        return output[:, : inputs.shape[1]]  # (B, 2C, T, h, w) -> without a learned variance

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "mask_feature": False,  # it would mask by the width of the embeddings, not by our mask
            "video_length": self.frames,
            "height": self.size[0],
            "width": self.size[1],
        }


class TextToVideo(FrameByFrame):
    """ModelScope's text to video (https://arxiv.org/abs/2308.06571), which takes no mask.

    Args:
        pipeline: a `TextToVideoSDPipeline`.
        frames: how many a film has.
        fps: frames a second, which nothing in the pipeline tells.
        height: of the films in pixels; None for the network's own. Zeroscope's is 320.
        width: likewise; Zeroscope's is 576.

    Raises:
        ValueError: a size that is no multiple of the autoencoder's factor.
    """

    legacy_callback = True
    input_layer = "conv_in"

    def __init__(
        self,
        pipeline: Pipeline,
        frames: int = 16,
        fps: float = 8.0,
        height: int | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__(pipeline, pipeline.unet, frames, fps, height, width)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        return attend_all(self.pipeline.encode_prompt(list(captions), self.device, 1, False)[0])

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.pipeline.unet(
            inputs, timesteps, encoder_hidden_states=conditioning.embeds
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "num_frames": self.frames,
            "height": self.size[0],
            "width": self.size[1],
        }
