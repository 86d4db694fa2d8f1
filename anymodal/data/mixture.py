"""Several data sets as one, one after the other or in shares."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class SampleSource(Protocol[T_co]):
    """Samples by index, as in a list; `length(index)` may tell how long one is."""

    def __len__(self) -> int:
        """Number of samples in an epoch."""

    def __getitem__(self, index: int, /) -> T_co:
        """The sample of an index."""


class Mixture(Generic[T]):
    """Several data sets as one, in which an index always means the same sample.

    Without weights the data sets follow each other, each sample once. With weights an epoch holds
    them in these shares: it is as long as the data set that weighs most for its size needs to come
    once as a whole, and the samples of the others repeat, evenly, to fill their shares. Nothing is
    drawn here; the order of training is a permutation of the indices.

    Args:
        datasets: data sets whose samples are of one type.
        weights: a weight above 0 for each data set, of any sum; None for each sample once.

    Raises:
        ValueError: if there is no data set, one is empty, or the weights differ from them in number
            or aren't finite and above 0.
    """

    def __init__(
        self, datasets: Sequence[SampleSource[T]], weights: Sequence[float] | None = None
    ) -> None:
        if not datasets:
            raise ValueError("a mixture of no data sets has no samples; give it at least one")
        sizes = [len(dataset) for dataset in datasets]
        for place, size in enumerate(sizes):
            if size == 0:
                raise ValueError(f"datasets[{place}] is empty; check its path, or leave it out")
        self.datasets = datasets
        counts = sizes if weights is None else _counts(sizes, weights)
        self._ends = list(accumulate(counts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> T:
        dataset, place = self._locate(index)
        return dataset[place]

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
        for place, dataset in enumerate(self.datasets):
            if not hasattr(dataset, "length"):
                raise AttributeError(
                    f"datasets[{place}], of class {type(dataset).__name__}, has no length(index)"
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
        dataset = self.datasets[number]
        first = self._ends[number - 1] if number else 0
        # Round after round of the data set, so that no sample comes twice more than another.
        return dataset, (index - first) % len(dataset)


def _counts(sizes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """Samples of each data set in an epoch: in shares of the weights, each sample at least once."""
    if len(weights) != len(sizes):
        raise ValueError(
            f"{len(weights)} weights for {len(sizes)} data sets; give each data set one"
        )
    for place, weight in enumerate(weights):
        if not (weight > 0 and math.isfinite(weight)):
            raise ValueError(
                f"weights[{place}]={weight}; a weight must be finite and above 0. Leave a data set "
                "out that should have no share"
            )
    per_weight = max(size / weight for size, weight in zip(sizes, weights, strict=True))
    return [
        max(size, round(per_weight * weight)) for size, weight in zip(sizes, weights, strict=True)
    ]
