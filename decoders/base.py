"""The contract of a decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from anymodal.config import ranges
from anymodal.distributed.locks import CopiedLock
from anymodal.io.feature_cache import CacheKey
from anymodal.io.recorded import Recorded
from anymodal.types import Conditioning, ConditioningSpec

if TYPE_CHECKING:
    from anymodal.media import Media

Generators = torch.Generator | list[torch.Generator] | None
"""One generator for a batch, or one for each item, which makes items independent of the batch."""

Progress = Callable[[int, int], None]
"""Called with (step, steps) after each denoising step; step counts from 1."""


class NonFiniteError(ValueError):
    """NaN or infinity came out where a medium should.

    Attributes:
        made: what was made all the same, in order, None in the place of what was not.
    """

    def __init__(self, message: str, made: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.made = list(made)


class Decoder(Recorded, nn.Module, ABC):
    """Makes media from conditioning, and says how far conditioning is from making a medium.

    Several threads may ask one decoder at once; one that keeps something while it computes holds
    its `lock` meanwhile.

    Attributes:
        spec: the conditioning's shape.
        media: the class of media that come out.
        fewest_steps: the fewest denoising steps that `sample` takes.
        lock: for whatever only one thread may do at a time.
    """

    spec: ConditioningSpec
    media: type[Media]
    fewest_steps: int = 1

    def __init__(self) -> None:
        super().__init__()
        self.lock = CopiedLock()

    @abstractmethod
    def prepare(self, media: Media) -> Tensor:
        """Turn one medium into the tensor that `encode` takes a batch of (on the CPU)."""

    @abstractmethod
    def encode(self, batch: Tensor) -> Tensor:
        """Turn a batch of prepared media into what is denoised, without a gradient."""

    @abstractmethod
    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        """Give the conditioning of captions by the decoder's own caption encoder.

        Differentiable: callers who want no gradient say so.
        """

    @abstractmethod
    def loss(
        self,
        batch: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Give the mean denoising loss of prepared or encoded media under a conditioning."""

    @abstractmethod
    def sample(
        self,
        conditioning: Conditioning,
        *,
        steps: int,
        guidance: float,
        generator: Generators = None,
        progress: Progress | None = None,
    ) -> list[Media]:
        """Make one medium for each item of a conditioning.

        Raises:
            NonFiniteError: NaN or infinity came out in a medium's place.
        """

    def check_settings(self, given: Any, place: str = "") -> dict[str, Any]:
        """Give settings of `sample`, checked; `place` says what they are of.

        Raises:
            ValueError: one is unknown, of the wrong type or out of its range.
        """
        return ranges.medium(given, self.sample, self.fewest_steps, place)

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write what `from_pretrained` of the same class reads."""

    def captioning(self) -> CacheKey:
        """Give what decides `embed_captions`: the whole decoder, where no subclass knows better."""
        return CacheKey((self,), self.identity)

    def encoding(self) -> CacheKey:
        """Give what decides `prepare` and `encode`, likewise."""
        return CacheKey((self,), self.identity)

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Give what a checkpoint's manifest records of this decoder, ready for JSON."""


def check_finite(conditioning: Conditioning) -> None:
    """Check conditioning before media are made by it.

    Raises:
        NonFiniteError: it holds NaN or infinity.
    """
    embeds, _, pooled = conditioning
    # Asked in this way, since a plan's tensors, which have no values, call everything False.
    if any(bool((~each.isfinite()).any()) for each in (embeds, pooled) if each is not None):
        raise NonFiniteError(
            "the conditioning holds NaN or infinity, so nothing can be made by it; the head or "
            f"the language model that it comes from gave it, in {embeds.dtype}: open them in "
            "float32, or check their weights",
            [None] * len(embeds),
        )
