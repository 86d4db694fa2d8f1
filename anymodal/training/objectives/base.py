"""The contract of an objective: what a run trains, on which batches, by which losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from anymodal.config import ConfigError
from anymodal.io.feature_cache import CacheKey, FeatureCache
from anymodal.media import Media
from anymodal.training.losses import Loss, LossSettings, WeightedLoss, build_losses, needs_of

SampleT = TypeVar("SampleT")
BatchT = TypeVar("BatchT")
ItemT = TypeVar("ItemT")


class Objective(nn.Module, ABC, Generic[SampleT, BatchT]):
    """Trains a model: samples to batches, batches to losses, and the finished model to a folder.

    An objective has no parameters of its own: what a stage trains, it names as the model does.

    Args:
        model: what learns.
        known_losses: the classes of losses that it can compute, by name. Those that every model
            has are in use until a stage chooses.

    Attributes:
        losses: those in use.
        feature_cache: results of frozen parts while a run trains; None computes them anew.
        packed: several sequences in a row of a batch, for an objective that lays out rows; None
            for whatever costs less.
    """

    losses: dict[str, Loss[Any, Any]]

    def __init__(self, model: nn.Module, known_losses: Mapping[str, type[Loss[Any, Any]]]) -> None:
        super().__init__()
        self.model = model
        self.known_losses = dict(known_losses)
        self.feature_cache: FeatureCache | None = None
        self.packed: bool | None = None
        names = [name for name, kind in known_losses.items() if kind.is_default]
        self.use_losses(dict.fromkeys(names, 1.0))

    def use_losses(self, settings: LossSettings) -> None:
        """Compute these losses, and no others.

        Raises:
            ConfigError: for an unknown loss or setting, with the nearest right one.
        """
        self.losses = build_losses(settings, self.known_losses)

    @property
    def needs(self) -> frozenset[str]:
        """The results of frozen parts that the losses in use are computed from."""
        return needs_of(self.losses.values())

    @property
    def device(self) -> torch.device:
        """The device that the model computes on."""
        return next(self.model.parameters()).device

    @abstractmethod
    def collate(self, samples: Sequence[SampleT]) -> BatchT:
        """A batch of samples, on the CPU; workers do it.

        Raises:
            ValueError: for a sample that can't be used.
        """

    @abstractmethod
    def states(self, batch: BatchT) -> Any:
        """Inputs of the losses, on the model's device."""

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write what the run has trained."""

    def forward(self, batch: BatchT) -> dict[str, list[WeightedLoss]]:
        """The losses in use by name, each as means over what `counts` has counted."""
        states = self.states(batch)
        return {name: loss(batch, states) for name, loss in self.losses.items()}

    def counts(self, batch: BatchT) -> dict[str, dict[str, int]]:
        """Numbers of things that parts of losses are means over; the same parts for any batch."""
        return {name: loss.count(batch) for name, loss in self.losses.items()}

    def statistics(self, batch: BatchT) -> dict[str, int]:
        """Numbers of things in a batch, such as `tokens`, for the log and the report."""
        return {}

    def named_losses(self, batch: BatchT) -> dict[str, Tensor]:
        """The losses of a batch alone, those that it has targets for."""
        values = {name: values_of(parts) for name, parts in self(batch).items()}
        return {name: torch.stack(some).sum() for name, some in values.items() if some}

    def use_flat_rows(
        self, use: bool, frozen_prefix: bool = True, shared_prefix: bool = True
    ) -> None:
        """Compute no padding from now on, nor, with `frozen_prefix`, a graph where nothing trains;
        with `shared_prefix`, what all rows begin with once.

        It holds as long as the model has the same parameters; an objective without rows ignores it.
        """

    def remember_start(self) -> None:
        """Note the weights that a run begins with, where a loss compares with them.

        Called once, when it is known what trains and before a checkpoint is read.
        """

    def prefetch(self, batch: BatchT) -> None:
        """Begin to read the cached results of a batch that comes next."""

    def precompute(self, batch: BatchT) -> None:
        """Compute the results of frozen parts for the feature cache, and nothing else.

        Raises:
            ConfigError: by those that keep none.
        """
        raise ConfigError(
            f"{type(self).__name__} has no frozen part whose results are kept; train without "
            "computing them ahead"
        )

    def open_cache(self) -> None:
        """Open the keys of media's results, so that workers forked from now on know them.

        Called as the model will compute: on its device and in its precision.
        """

    def is_cacheable(self, key: CacheKey) -> bool:
        """Return whether a part's results are kept: there is a cache, and the part is frozen."""
        return self.feature_cache is not None and not self.feature_cache.trains(key)

    def is_cached(
        self,
        key: CacheKey,
        items: Sequence[ItemT],
        media: Callable[[ItemT], Media],
        digest: Callable[[ItemT], str],
    ) -> list[bool]:
        """Return whether a part's results of some items are cached; no file is decoded to tell.

        Args:
            key: what determines the results.
            items: in a batch's order.
            media: the media item of each.
            digest: a text for each item, equal for equal ones.
        """
        if self.feature_cache is None or not self.is_cacheable(key):
            return [False] * len(items)
        self.feature_cache.read_digests(map(media, items))
        digests = [None if media(item).undecoded else digest(item) for item in items]
        return self.feature_cache.holds(key, digests)

    def cached(
        self,
        key: CacheKey,
        items: Sequence[ItemT],
        digest: Callable[[ItemT], str],
        compute: Callable[[list[ItemT]], Sequence[Tensor]],
    ) -> tuple[Tensor, ...]:
        """A part's results of some items, from the cache where the part is frozen.

        Args:
            key: what determines the results.
            items: in a batch's order.
            digest: a text for each item, equal for equal ones.
            compute: results of some items, stacked.
        """
        if self.feature_cache is None or not self.is_cacheable(key):
            return tuple(compute(list(items)))

        def compute_places(places: list[int]) -> Sequence[Tensor]:
            return compute([items[place] for place in places])

        with torch.no_grad():
            digests = [digest(item) for item in items]
            return self.feature_cache.get_or_compute(key, digests, compute_places, self.device)

    def cached_each(
        self,
        key: CacheKey,
        items: Sequence[ItemT],
        digest: Callable[[ItemT], str],
        compute: Callable[[list[ItemT]], Sequence[Tensor]],
    ) -> list[Tensor]:
        """A part's result of each of some items, of any shapes, likewise.

        Args:
            key, items, digest: as of `cached`.
            compute: one result for each of some items.
        """
        if self.feature_cache is None or not self.is_cacheable(key):
            return list(compute(list(items)))

        def compute_places(places: list[int]) -> Sequence[Sequence[Tensor]]:
            return [compute([items[place] for place in places])]

        with torch.no_grad():
            digests = [digest(item) for item in items]
            rows = self.feature_cache.get_or_compute_each(key, digests, compute_places, self.device)
            return [value for (value,) in rows]


def values_of(parts: Iterable[WeightedLoss]) -> list[Tensor]:
    """The values that there are."""
    return [part.value for part in parts if part.value is not None]
