"""Batches ready for training, each with what its optimiser step has to learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count, islice
from typing import Any, NamedTuple

from anymodal.data.workers import Loader
from anymodal.training.batches import Batches
from anymodal.training.objectives import Objective
from anymodal.training.steps import Counts, sum_counts


class MicroBatch(NamedTuple):
    """One of the batches of an optimiser step.

    Args:
        batch: from the objective's `collate`.
        counts: of all of the step's batches in this process.
        first: whether the step begins with it.
        sources: of each sample, the number of the data set of a mixture that it is of.
    """

    batch: Any
    counts: Counts
    first: bool
    sources: Sequence[int] = ()


class StepLoader:
    """Micro-batches of one optimiser step after the other.

    A step's batches are drawn together, since each counts by its share of what all of them have to
    learn from. The objective begins to read a batch's cached results when the batch is handed out,
    which Lightning asks for one ahead of its turn.

    Args:
        batches: of one process.
        objective: counts what a batch has.
        workers: processes that read and collate; 0 for this one.
        size: batches in a step.
        precision: the context in which the model will compute.
    """

    def __init__(
        self,
        batches: Batches,
        objective: Objective[Any, Any],
        workers: int,
        size: int,
        precision: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.batches, self.loader = batches, Loader(batches, workers, size)
        self.objective, self.size, self.precision = objective, size, precision

    def __iter__(self) -> Iterator[MicroBatch]:
        with self.precision():
            self.objective.open_cache()
        batches, sources = iter(self.loader), self._sources()
        while step := list(islice(batches, self.size)):
            counts = sum_counts(map(self.objective.counts, step))
            first = True
            while step:
                batch = step.pop(0)  # so that none is held longer than it is needed
                self.objective.prefetch(batch)
                yield MicroBatch(batch, counts, first, next(sources))
                first = False

    def _sources(self) -> Iterator[list[int]]:
        """Of each batch, the numbers of its samples' data sets; nothing where there is but one."""
        batches = self.batches
        source_numbers = getattr(batches.data, "source_numbers", None)
        for number in count(batches.start(), batches.every):
            # A sample that stands in for another one is of the same data set.
            yield source_numbers(batches.indices(number)) if source_numbers else []
