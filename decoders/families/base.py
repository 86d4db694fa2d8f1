"""What every family of diffusers pipelines has: the contract of a small adapter.

A family knows its pipeline's media, the way into its latents, how its network is called and how
its `__call__` is asked. Noise, targets and sampling loops are the scheduler's and the pipeline's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from anymodal.decoders.calls import Watch, finished, is_finite, own_state, watched
from anymodal.types import Conditioning

if TYPE_CHECKING:
    from anymodal.decoders.base import Generators, Progress
    from anymodal.media import Media


def fitted(pixels: np.ndarray, height: int, width: int) -> Tensor:
    """Crop uint8 pixels (H, W, 3) to the middle, resize, and give (3, height, width) in ±1."""
    from PIL import Image as Pillow

    rows = min(pixels.shape[0], round(pixels.shape[1] * height / width))
    columns = min(pixels.shape[1], round(pixels.shape[0] * width / height))
    top, left = (pixels.shape[0] - rows) // 2, (pixels.shape[1] - columns) // 2
    pixels = pixels[top : top + rows, left : left + columns]
    if pixels.shape[:2] != (height, width):
        resized = Pillow.fromarray(pixels).resize((width, height), Pillow.Resampling.BICUBIC)
        pixels = np.asarray(resized)
    values = torch.tensor(pixels).permute(2, 0, 1)  # (H, W, 3) -> (3, H, W)
    return values.float() / 127.5 - 1


def squared(pixels: np.ndarray, size: int) -> Tensor:
    """Crop uint8 pixels (H, W, 3) to the middle square, resize, and give (3, size, size) in ±1."""
    return fitted(pixels, size, size)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Turn a picture's values in [0, 1] into uint8."""
    return (values * 255).round().clip(0, 255).astype(np.uint8)


def zeroed(conditioning: Conditioning) -> Conditioning:
    """Set what the mask leaves out to zero."""
    return conditioning._replace(embeds=conditioning.embeds * conditioning.mask.unsqueeze(-1))


def unmasked(embeds: Tensor, pooled: Tensor | None = None) -> Conditioning:
    """Give a conditioning whose padding is attended to, as it was when the network was trained."""
    mask = torch.ones(embeds.shape[:2], dtype=torch.bool, device=embeds.device)
    return Conditioning(embeds, mask, pooled)


class Family(ABC):
    """One family of pipelines.

    Attributes:
        media: what it makes.
        longest: the longest caption that the pipeline takes, in tokens.
        fewest: the fewest denoising steps that the pipeline takes.
        captioning: the pipeline's parts that turn captions into conditioning.
        refused: parts that a pipeline may not have, and what to say of each.
        older: whether the pipeline reports its steps to the older kind of callback.
        latent_shape: shape of one item's latents.
        media_shape: shape of one prepared medium.
    """

    media: ClassVar[type[Media]]
    longest: ClassVar[int] = 10_000
    fewest: ClassVar[int] = 1
    captioning: ClassVar[tuple[str, ...]] = ("text_encoder",)
    refused: ClassVar[Mapping[str, str]] = {}
    older: ClassVar[bool] = False
    latent_shape: tuple[int, ...]
    media_shape: tuple[int, ...]

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    @classmethod
    def check(cls, parts: Collection[str]) -> None:
        """Refuse pipelines by the parts that they have, which is known before a weight is read.

        Raises:
            ValueError: one is `refused`.
        """
        for part, why in cls.refused.items():
            if part in parts:
                raise ValueError(why)

    @property
    def device(self) -> torch.device:
        """Where the pipeline computes, wherever its weights wait."""
        return torch.device(self.pipeline._execution_device)

    @property
    def network(self) -> Any:
        """The pipeline's denoiser."""
        parts = (getattr(self.pipeline, name, None) for name in ("transformer", "unet"))
        return next(part for part in parts if part is not None)

    @property
    def length(self) -> int:
        """Length of a caption's conditioning, in tokens."""
        return min(int(self.pipeline.tokenizer.model_max_length), self.longest)

    @property
    def width(self) -> int:
        """Width of a caption's conditioning."""
        return int(self.pipeline.text_encoder.config.hidden_size)

    @property
    def pooled(self) -> int | None:
        """Width of a caption's pooled conditioning, None where the pipeline takes none."""
        return None

    @property
    def tokens(self) -> int | None:
        """Tokens of one item's latents, None where no schedule depends on them."""
        return None

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        """Give what the pipeline's `encode_prompt` gives, with its gradient."""
        return self.conditioned(self.embedded(captions))

    def embedded(self, captions: Sequence[str]) -> Conditioning:
        """Give what the caption encoder gives, padding and all."""
        pipeline = self.pipeline
        tokens = pipeline.tokenizer(
            self.cleaned(captions),
            padding="max_length",
            max_length=self.length,
            truncation=True,
            return_tensors="pt",
        )
        mask = tokens.attention_mask.to(self.device)
        embeds = pipeline.text_encoder(tokens.input_ids.to(self.device), attention_mask=mask)[0]
        return Conditioning(embeds, mask.bool())

    def cleaned(self, captions: Sequence[str]) -> list[str]:
        """Give the captions as the pipeline writes them before it tokenises them."""
        return list(captions)

    def empty(self) -> Conditioning:
        """Give the conditioning that guidance leads away from."""
        return self.embed_captions([""])

    def conditioned(self, conditioning: Conditioning) -> Conditioning:
        """Apply a mask in the way the family does, where its network takes no mask."""
        return conditioning

    @abstractmethod
    def prepare(self, media: Any) -> Tensor:
        """Turn one medium into a tensor of `media_shape`."""

    @abstractmethod
    def encode(self, batch: Tensor) -> Tensor:
        """Turn prepared media into scaled latents."""

    @abstractmethod
    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """Call the network; the result is like the inputs."""

    @abstractmethod
    def medium(self, made: Any) -> Media:
        """Turn one item of what the pipeline gives into a medium."""

    def asked(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, Any]:
        """Give the arguments of the pipeline's `__call__` that depend on the family."""
        return {
            "prompt_embeds": positive.embeds,
            "negative_prompt": None,
            "negative_prompt_embeds": None if negative is None else negative.embeds,
            "guidance_scale": guidance,
        }

    def sample(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        steps: int,
        guidance: float,
        generator: Generators,
        progress: Progress,
    ) -> list[Media]:
        """Call the pipeline.

        Raises:
            NonFiniteError: it made NaN or infinity.
        """
        watch = Watch(progress, steps)
        told = {"callback": watch.older} if self.older else {"callback_on_step_end": watch.newer}
        with own_state(self.pipeline, generator), watched(self.pipeline.vae):
            made = self.pipeline(
                **self.asked(positive, negative, guidance),
                **told,
                num_inference_steps=steps,
                generator=generator,
                output_type="np",
            )
        media = [self.medium(each) if is_finite(each) else None for each in made[0]]
        return finished(self.pipeline, self.network, watch, media)
