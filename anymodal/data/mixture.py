"""Several data sets as one: one after the other, or in shares of each epoch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from anymodal.data.mixture_settings import MixtureSettings, PerSource, named_sources
from anymodal.data.sample_weights import sample_weights as weights_of_samples

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Indices = NDArray[np.int64]


class SampleSource(Protocol[T_co]):
    """Samples by index, as in a list; `length(index)` may tell how long one is."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, index: int, /) -> T_co:
        """The sample of an index."""


class Mixture(Generic[T]):
    """Several data sets as one, in which an index always means the same sample.

    By index the data sets follow each other, each sample once. `draws` says which of them an epoch
    has: each sample once, or in shares, with limits, and by weights of the samples. It is a
    function of the seed and the epoch, so a run that goes on draws what a straight one would.

    Without further settings the samples of a data set come equally often, over epochs too: of one
    that an epoch has half of, the next epoch has the other half. With `balance` or
    `sample_weights` a sample comes as often as its probability says, rounded up or down at random.

    Settings are a value for all data sets, one for each in order, or some by name.

    Args:
        datasets: data sets whose samples are of one type, by name, or in order, where they are
            named by their numbers.
        weights: a weight above 0 for each data set, of any sum: its share of an epoch. An epoch is
            then as long as the data set that weighs most for its size needs to come once as a
            whole, and the others repeat. None for each sample once.
        temperature: shares by size to the power of one over this, as multilingual models are
            trained (Conneau et al. 2020, arXiv:1911.02116, section 3.1): 1 for the sizes, more for
            shares that are more alike.
        repeat: how often an epoch has each sample; 0.5 for every second one.
        cap: the most samples of a data set in an epoch. With shares, all of the epoch shrinks.
        balance: the column whose values come equally often, such as a label.
        sample_weights: the column of each sample's weight, at least 0.

    Raises:
        ValueError: if there is no data set, one is empty or a mixture itself, or a setting doesn't
            fit, with its key.
    """

    def __init__(
        self,
        datasets: Mapping[str, SampleSource[T]] | Sequence[SampleSource[T]],
        weights: PerSource[float] | None = None,
        *,
        temperature: float | None = None,
        repeat: PerSource[float] | None = None,
        cap: PerSource[int] | None = None,
        balance: PerSource[str] | None = None,
        sample_weights: PerSource[str] | None = None,
    ) -> None:
        named = named_sources(datasets)
        self.settings = MixtureSettings(weights, temperature, repeat, cap, balance, sample_weights)
        self.settings.check(list(named))
        self.sources = tuple(named)
        self.datasets = list(named.values())
        for name, dataset in named.items():
            _check_source(name, dataset)
        self.sizes = [len(dataset) for dataset in self.datasets]
        self._ends = list(accumulate(self.sizes))
        self.counts = self.settings.counts(dict(zip(self.sources, self.sizes, strict=True)))
        columns = zip(*(self.settings.of(each, self.sources) for each in _COLUMNS), strict=True)
        self._weights = [
            weights_of_samples(dataset, balance, weight, f"data.datasets.{name}")
            for (name, dataset), (balance, weight) in zip(named.items(), columns, strict=True)
        ]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> T:
        dataset, place = self._locate(index)
        return dataset[place]

    @property
    def epoch_size(self) -> int:
        """Number of samples that an epoch has."""
        return sum(self.counts)

    def shares(self) -> dict[str, dict[str, int | str]]:
        """Of each data set its samples, how many an epoch has, and what share that is."""
        total = self.epoch_size
        return {
            name: {"samples": size, "samples of an epoch": count, "share": f"{count / total:.1%}"}
            for name, size, count in zip(self.sources, self.sizes, self.counts, strict=True)
        }

    def draws(self, seed: int, epoch: int) -> Indices:
        """The samples of an epoch, data set after data set; to be shuffled.

        Args:
            seed: of what is drawn.
            epoch: from 0.
        """
        parts = []
        for number, (size, count) in enumerate(zip(self.sizes, self.counts, strict=True)):
            weights = self._weights[number]
            if weights is None:
                part = _evenly(size, count, epoch, (seed, number))
            else:
                # The 3 keeps this stream apart from those of batches and of `_evenly`.
                part = weights.draw(count, (seed, number, epoch, 3))
            parts.append(part + (self._ends[number] - size))
        return np.concatenate(parts)

    def source_numbers(self, indices: Iterable[int]) -> list[int]:
        """The numbers, among `sources`, of the data sets that samples are of."""
        return [bisect_right(self._ends, index) for index in indices]

    def bounds(self, index: int) -> tuple[int, int]:
        """The first sample of the data set that a sample is of, and the number of its samples."""
        number = bisect_right(self._ends, index)
        return self._ends[number] - self.sizes[number], self.sizes[number]

    @property
    def reads_files(self) -> bool:
        """Return whether samples of a data set are decoded from files."""
        return any(getattr(dataset, "reads_files", False) for dataset in self.datasets)

    @property
    def length(self) -> Callable[[int], int]:
        """The length of the sample of an index, as its data set tells it.

        Raises:
            AttributeError: if a data set tells no lengths, so that `hasattr` says so for all.
        """
        for name, dataset in zip(self.sources, self.datasets, strict=True):
            if not hasattr(dataset, "length"):
                raise AttributeError(
                    f"datasets.{name}, of class {type(dataset).__name__}, has no length(index)"
                )
        return self._length

    def _length(self, index: int) -> int:
        dataset, place = self._locate(index)
        length: int = getattr(dataset, "length")(place)  # noqa: B009 (the protocol leaves it open)
        return length

    def _locate(self, index: int) -> tuple[SampleSource[T], int]:
        """The data set of an index, and the index within it.

        Raises:
            IndexError: beyond either end.
        """
        index = range(len(self))[index]
        number = bisect_right(self._ends, index)
        return self.datasets[number], index - (self._ends[number] - self.sizes[number])


_COLUMNS = ("balance", "sample_weights")


def epoch_size(data: Sequence[object]) -> int:
    """Number of samples that an epoch of some data has: all of them, but of a mixture."""
    return cast(int, getattr(data, "epoch_size", len(data)))


def _check_source(name: str, dataset: Any) -> None:
    if hasattr(dataset, "draws"):
        raise ValueError(
            f"datasets.{name} is a mixture itself, whose shares another one can't keep; name its "
            "data sets beside the others"
        )
    if len(dataset) == 0:
        raise ValueError(f"datasets.{name} is empty; check its path, or leave it out")


def _evenly(size: int, count: int, epoch: int, seed: tuple[int, ...]) -> Indices:
    """So many of a data set's samples that none comes twice more than another, over epochs too."""
    rounds, remainder = divmod(count, size)
    parts = [np.tile(np.arange(size), rounds)]
    # What is over goes on where the epoch before ended, through permutations of the data set.
    place = epoch * remainder
    while remainder:
        cycle, start = divmod(place, size)
        # The 2 keeps this stream apart from those of batches and of weights.
        order = np.random.default_rng((*seed, cycle, 2)).permutation(size)
        part = order[start : start + remainder]
        parts.append(part)
        place += len(part)
        remainder -= len(part)
    return np.concatenate(parts)
