"""A decoder over any diffusers pipeline of a known family."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from anymodal.config import check_arguments
from anymodal.decoders.base import Decoder, Generators, Progress
from anymodal.decoders.families import FAMILIES, Family
from anymodal.decoders.objective import draw_levels, noised, prediction_type
from anymodal.decoders.sketch import sketched_networks
from anymodal.types import Conditioning, ConditioningSpec

# Measures the conditioning's scale, where heads start.
_PLAIN = ("a big red ball", "the sound of rain", "a small bird flying to the left")


class DiffusionDecoder(Decoder):
    """Makes media with a diffusers pipeline, conditioned where its captions would be.

    The denoising loss follows the pipeline's own scheduler, and sampling is the pipeline's own
    `__call__`, so a pipeline behaves here as it does alone.

    Args:
        pipeline: a pipeline of one of the `FAMILIES`.
        options: what the family takes beside it, such as Latte's `fps`.

    Raises:
        ValueError: the pipeline's class is of no known family, or takes no such option.
    """

    def __init__(self, pipeline: DiffusionPipeline, **options: Any) -> None:
        super().__init__()
        self.pipeline: Any = pipeline
        name = type(pipeline).__name__
        family = _family(name)
        check_arguments(family, options, name, provided=["pipeline"])
        self.family = family(pipeline, **options)
        self.media = self.family.media
        self.parts = nn.ModuleDict(
            {k: v for k, v in pipeline.components.items() if isinstance(v, nn.Module)}
        )
        pipeline.set_progress_bar_config(disable=True)
        self._empty: tuple[tuple[int, ...], Conditioning] | None = None

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, dtype: str | torch.dtype = torch.float32, **options: Any
    ) -> DiffusionDecoder:
        """Open a pipeline's folder, weights from safetensors only and never with its own code.

        Raises:
            ValueError: the pipeline's class is of no known family, or there is no such dtype.
        """
        config = DiffusionPipeline.load_config(str(folder))
        _family(str(config.get("_class_name")))
        dtype = _dtype(dtype)
        pipeline = DiffusionPipeline.from_pretrained(str(folder), dtype=dtype, use_safetensors=True)
        return cls(pipeline, **options).eval()

    @classmethod
    def sketch(
        cls,
        folder: str | Path | DiffusionDecoder,
        *,
        dtype: str | torch.dtype = torch.float32,
        **options: Any,
    ) -> DiffusionDecoder:
        """What `from_pretrained` would give, its networks on the meta device: no weight is read.

        `folder` may also be a sketch of what will lie there.

        Raises:
            ValueError: the pipeline's class is of no known family, or there is no such dtype.
        """
        if isinstance(folder, DiffusionDecoder):
            return cls(folder.pipeline, **options).to(_dtype(dtype)).eval()
        config = DiffusionPipeline.load_config(str(folder))
        _family(name := str(config.get("_class_name")))
        networks = sketched_networks(Path(folder), config, name, _dtype(dtype))
        with torch.device("cpu"):  # schedulers compute with what they make
            pipeline = DiffusionPipeline.from_pretrained(str(folder), **networks)
        return cls(pipeline, **options).eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the pipeline's folder, which `DiffusionPipeline.from_pretrained` opens too."""
        self.pipeline.save_pretrained(str(folder), safe_serialization=True)

    @cached_property
    def spec(self) -> ConditioningSpec:  # type: ignore[override]
        """The conditioning's shape, and its root mean square on a few plain captions.

        In a sketch, whose caption encoder has no weights, the scale is 1.
        """
        if next(self.pipeline.text_encoder.parameters()).is_meta:
            return ConditioningSpec(self.family.length, self.family.width)
        with torch.inference_mode(False), torch.no_grad():
            embeds, mask, _ = self.embed_captions(_PLAIN)
        scale = float(embeds[mask].float().square().mean().sqrt())
        return ConditioningSpec(self.family.length, self.family.width, scale=scale)

    @property
    def prediction(self) -> str:
        """What the denoiser predicts: epsilon, v_prediction, sample or flow_prediction."""
        return prediction_type(self.pipeline.scheduler)

    def prepare(self, media: Any) -> Tensor:
        """Turn one medium into a tensor of the family's `media_shape`, in [-1, 1].

        Raises:
            TypeError: the medium is not of the decoder's class.
        """
        if not isinstance(media, self.media):
            raise TypeError(
                f"this decoder makes {self.media.__name__}, so it cannot learn from "
                f"{type(media).__name__}"
            )
        return self.family.prepare(media)

    @torch.no_grad()
    def encode(self, batch: Tensor) -> Tensor:
        """Turn a batch of prepared media into scaled latents, the mode of their posterior."""
        return self.family.encode(batch)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        """Give the pipeline's own conditioning of captions, with its gradient."""
        return self.family.embed_captions(captions)

    def unconditional(self, count: int) -> Conditioning:
        """Give the empty caption's conditioning, `count` times, remembered while weights stay.

        Weights changed behind autograd's back, through `.data`, are not noticed.
        """
        weights = (*self.pipeline.text_encoder.parameters(),)
        key = (*(p._version for p in weights), *(p.data_ptr() for p in weights))
        if self._empty is None or self._empty[0] != key:
            with torch.inference_mode(False), torch.no_grad():
                self._empty = key, self.embed_captions([""])
        embeds, mask, _ = self._empty[1]
        return Conditioning(embeds.expand(count, -1, -1), mask.expand(count, -1))

    def loss(
        self,
        batch: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Give the mean squared error of the denoiser at random noise levels.

        Args:
            batch: prepared media or latents; their shapes tell which.
            conditioning: one item for each of the batch.
            generator: of noise and noise levels.

        Raises:
            ValueError: shapes that do not fit the decoder or one another.
        """
        conditioning = self._checked(conditioning)
        clean = self._latents(batch)
        if len(clean) != len(conditioning.embeds):
            raise ValueError(
                f"{len(clean)} media cannot be paired with the conditioning of "
                f"{len(conditioning.embeds)}; pass as many of both"
            )
        where = clean.device if generator is None else generator.device
        noise = torch.randn(clean.shape, generator=generator, device=where).to(clean)
        levels = draw_levels(self.pipeline.scheduler, len(clean), generator, clean.device)
        inputs, timesteps, target = noised(self.pipeline.scheduler, clean, noise, levels)
        with _quick_attention(clean.device):
            output = self.family.denoise(inputs, timesteps, conditioning)
        return (output.float() - target.float()).square().mean()

    def sample(
        self,
        conditioning: Conditioning,
        *,
        steps: int,
        guidance: float,
        generator: Generators = None,
        progress: Progress | None = None,
    ) -> list[Any]:
        """Make one medium for each item of a conditioning, in one batch.

        Args:
            conditioning: of `spec`'s shape.
            steps: of denoising.
            guidance: weight of classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598)
                away from the empty caption; 1 means none and takes half the time.
            generator: one, or one for each item, which makes items independent of the batch.
            progress: called with (step, steps) after each step.

        Raises:
            ValueError: a conditioning of another shape, or too few steps.
        """
        if steps < self.family.fewest:
            raise ValueError(
                f"steps={steps}, but {type(self.pipeline).__name__} takes at least "
                f"{self.family.fewest}"
            )
        positive = self._checked(conditioning)
        positive = positive._replace(embeds=positive.embeds.to(self.pipeline.text_encoder.dtype))
        negative = self.unconditional(len(positive.embeds)) if guidance > 1 else None
        return self.family.sample(
            positive,
            negative,
            steps=steps,
            guidance=guidance,
            generator=generator,
            progress=progress or (lambda step, steps: None),
        )

    def identity(self) -> dict[str, Any]:
        """Give what a checkpoint's manifest records of this decoder, ready for JSON."""
        return {
            "pipeline": type(self.pipeline).__name__,
            "scheduler": type(self.pipeline.scheduler).__name__,
            "prediction_type": self.prediction,
            "conditioning": {"length": self.family.length, "width": self.family.width},
        }

    def _checked(self, conditioning: Conditioning) -> Conditioning:
        wanted = (self.family.length, self.family.width)
        if tuple(conditioning.embeds.shape[1:]) != wanted:
            raise ValueError(
                f"{type(self.pipeline).__name__} takes conditioning of shape (batch, "
                f"{wanted[0]}, {wanted[1]}), not {tuple(conditioning.embeds.shape)}; build the "
                "head from the decoder's spec"
            )
        return self.family.conditioned(conditioning)

    def _latents(self, batch: Tensor) -> Tensor:
        shape = tuple(batch.shape[1:])
        if shape == self.family.latent_shape:
            return batch
        if shape == self.family.media_shape:
            return self.encode(batch)
        raise ValueError(
            f"a batch of shape {tuple(batch.shape)} is neither prepared media (batch, "
            f"{', '.join(map(str, self.family.media_shape))}) nor latents (batch, "
            f"{', '.join(map(str, self.family.latent_shape))})"
        )


def _quick_attention(device: torch.device) -> AbstractContextManager[None]:
    """Choose the attention whose bfloat16 backward is fast on a CPU.

    Fused attention's takes 40 % of a small transformer's training step there: without it, 64
    tokens of width 160 train twice as fast. Memory grows with the square of the tokens.
    """
    if device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype):
        raise ValueError(f"dtype={dtype!r} is none of torch's; give float32, bfloat16 or float16")
    return found


def _family(name: str) -> type[Family]:
    if name not in FAMILIES:
        raise ValueError(
            f"no decoder for the pipeline {name}; supported are {', '.join(sorted(FAMILIES))}. "
            "A new family is a subclass of anymodal.decoders.families.Family, entered in FAMILIES"
        )
    return FAMILIES[name]
