"""Batches in an order that depends on the seed and the batch's number alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Batches(IterableDataset[Any]):
    """Endless collated batches, epoch after epoch, each a new permutation of the data.

    Batch k is the same whatever came before it, so a run resumes by starting at batch k; the
    workers take turns.

    Args:
        data: samples by index.
        collate: samples to a batch, on the CPU.
        batch_size: samples in a batch.
        seed: of the permutations.
        start: asked for the number of the first batch when iteration begins.
        every: 1 for all batches from there, n for every n-th.
    """

    def __init__(
        self,
        data: Sequence[Any],
        collate: Callable[[list[Any]], Any],
        batch_size: int,
        seed: int,
        start: Callable[[], int] = lambda: 0,
        every: int = 1,
    ) -> None:
        if len(data) == 0:
            raise ValueError("the data set is empty; check its path and filters")
        self.data, self.collate, self.batch_size = data, collate, batch_size
        self.seed, self.start, self.every = seed, start, every
        self._shuffled: tuple[int, list[int]] = (-1, [])  # the last epoch's order

    def indices(self, batch: int) -> list[int]:
        """The samples of a batch, by number."""
        first = batch * self.batch_size
        places = range(first, first + self.batch_size)
        return [
            self._permutation(place // len(self.data))[place % len(self.data)] for place in places
        ]

    def _permutation(self, epoch: int) -> list[int]:
        if self._shuffled[0] != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(len(self.data))
            self._shuffled = (epoch, [int(index) for index in order])
        return self._shuffled[1]

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        step = self.every * (worker.num_workers if worker else 1)
        batch = self.start() + self.every * (worker.id if worker else 0)
        while True:
            yield self.collate([self.data[index] for index in self.indices(batch)])
            batch += step


def loader(batches: Batches, workers: int) -> DataLoader[Any]:
    """A DataLoader over ready batches."""
    # Forked, not pickled: the collating method belongs to the model, whole.
    context = "fork" if workers else None
    return DataLoader(
        batches, batch_size=None, num_workers=workers, multiprocessing_context=context
    )
