"""The contract every encoder keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from anymodal.io.feature_cache import CacheKey
from anymodal.io.recorded import Recorded
from anymodal.types import TokenLayout

if TYPE_CHECKING:
    from anymodal.media import Media
    from anymodal.types import Features


def like_weights(batch: Tensor, module: nn.Module) -> Tensor:
    """Give a batch on a module's device and, where both have fractions, in its type."""
    weights = module.parameters()
    weight = next((each for each in weights if each.is_floating_point()), None)
    if weight is None:
        return batch
    return batch.to(weight.device, weight.dtype if batch.is_floating_point() else batch.dtype)


class _DeviceModule(nn.Module):
    """A module that puts a batch where its weights are."""

    def to_weights(self, batch: Tensor) -> Tensor:
        """Give a stacked batch on the encoder's device and, if it has fractions, in its type."""
        return like_weights(batch, self)


class Encoder(Recorded, _DeviceModule, ABC):
    """Turns media of one class into features for a projection.

    `prepare` runs on the CPU, one medium at a time, and gives tensors of one fixed shape, so that
    a batch is `torch.stack` of them; `forward` and `embed` run on the encoder's device and in its
    weights' type, where `to_weights` puts a batch.

    An encoder whose tokens differ in number, as by resolution, tiles or duration, says so by
    `token_runs` and puts tensors of several shapes together in `collate`; behind a medium's own
    tokens come masked ones.

    Attributes:
        width: D, the width of the features.
        media: the class of media that `prepare` takes.
    """

    width: int
    media: type[Media]

    @abstractmethod
    def prepare(self, media: Media) -> Tensor:
        """Decode, resample, crop and normalise one medium, without a batch dimension."""

    @abstractmethod
    def forward(self, batch: Tensor) -> Features:
        """Features of a stacked batch: values (B, N, D), mask (B, N)."""

    @abstractmethod
    def embed(self, batch: Tensor) -> Tensor:
        """One embedding (B, E) per medium, for binding and retrieval."""

    def collate(self, prepared: Sequence[Tensor]) -> Tensor:
        """A batch of prepared media, on the encoder's device and in its weights' type."""
        return self.to_weights(torch.stack([*prepared]))

    def token_runs(self, media: Media) -> tuple[str | int, ...]:
        """Numbers of a medium's tokens, and texts that mark them, such as a tile's name; in order.

        () where every medium has as many tokens, and no marks. A projection may have it decide how
        many positions a medium takes (`Projection.positions_of`).
        """
        return ()

    @property
    def seconds_read(self) -> float | None:
        """Seconds from its start that are read of a recording; None where all of it is."""
        return None

    @property
    def layout(self) -> TokenLayout:
        """The order of its tokens, by which a projection may pool them; a sequence by default."""
        return TokenLayout()

    def features_and_embedding(self, batch: Tensor) -> tuple[Features, Tensor | None]:
        """What `forward` and `embed` give, in one pass; None where `embed` would take another."""
        return self(batch), None

    def metadata(self) -> dict[str, object]:
        """The encoder's description for a manifest and a feature cache; JSON values only."""
        return {"class": f"{type(self).__module__}.{type(self).__qualname__}"}

    def cache_key(self, result: str) -> CacheKey:
        """The cache key of a result of this encoder: its `features` or its `embeddings`."""
        return CacheKey(result, (self,), self.metadata)


class TextEncoder(Recorded, _DeviceModule, ABC):
    """Turns texts into embeddings, in the space of the media that it was trained beside."""

    @abstractmethod
    def prepare(self, text: str) -> Tensor:
        """Tokens of one text, of one fixed shape; what is too long is cut."""

    @abstractmethod
    def embed(self, batch: Tensor) -> Tensor:
        """One embedding (B, E) per text of a stacked batch."""

    @abstractmethod
    def logits(self, embeds: Tensor, texts: Tensor) -> Tensor:
        """Similarity of media and texts as the model was trained to tell it: a softmax over the
        texts says which of them it is.

        Shapes: embeds (M, E) of media, texts (C, E), both as `embed` gives them; (M, C).
        """

    def metadata(self) -> dict[str, object]:
        """The encoder's description for embeddings that it made; JSON values only."""
        return {"class": f"{type(self).__module__}.{type(self).__qualname__}"}

    def cache_key(self, result: str) -> CacheKey:
        """The cache key of a result of this encoder: its `embeddings`."""
        return CacheKey(result, (self,), self.metadata)
