"""Batches ready for training, each with what its optimiser step has to learn from."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from anymodal.training.batches import Batches
from anymodal.training.objectives import Objective
from anymodal.training.steps import Counts, sum_counts

MAX_WORKERS = 8
"""Workers of a process where a run names no number: each holds two batches or more."""


def num_workers(configured: int | None, data: object, processes: int = 1) -> int:
    """How many processes read and collate: those of a configuration, or as many as fit.

    For data that decode files (`reads_files`) that is as many as there are processors, shared
    among the training processes of this machine, each of which keeps one. What is in memory isn't
    worth sending from process to process.

    Args:
        configured: None where the run names no number.
        data: samples by index.
        processes: those that train on this machine.
    """
    if configured is not None:
        return configured
    if not getattr(data, "reads_files", False) or sys.platform != "linux":
        return 0  # elsewhere a fork isn't safe, or isn't there
    processes = max(processes, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    return max(0, min(MAX_WORKERS, len(os.sched_getaffinity(0)) // processes - 1))


class MicroBatch(NamedTuple):
    """One of the batches of an optimiser step.

    Args:
        batch: from the objective's `collate`.
        counts: of all of the step's batches in this process.
        first: whether the step begins with it.
    """

    batch: Any
    counts: Counts
    first: bool


class Loader(DataLoader[Any]):
    """Batches in their order, from workers, whose errors are raised here.

    Args:
        batches: of one process.
        workers: processes that read and collate; 0 for this one.
        ahead: batches that are drawn at once, for which workers then have others ready.
    """

    def __init__(self, batches: IterableDataset[Any], workers: int, ahead: int = 1) -> None:
        super().__init__(
            batches,
            batch_size=None,
            num_workers=workers,
            # Forked, not pickled: the collating method belongs to the model, whole.
            multiprocessing_context="fork" if workers else None,
            prefetch_factor=max(2, -(-ahead // workers) + 1) if workers else None,
            worker_init_fn=_leave_signals,
            collate_fn=_unchanged,  # torch's own would make tensors of arrays within
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        batches = super().__iter__()
        try:
            for batch in batches:
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            # Now: an error's traceback holds them until Python ends, which waits for them for ever,
            # since they leave signals alone.
            if isinstance(batches, _MultiProcessingDataLoaderIter):
                batches._shutdown_workers()


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
        self.loader = Loader(batches, workers, size)
        self.objective, self.size, self.precision = objective, size, precision

    def __iter__(self) -> Iterator[MicroBatch]:
        with self.precision():
            self.objective.open_cache()
        batches = iter(self.loader)
        while step := list(islice(batches, self.size)):
            counts = sum_counts(map(self.objective.counts, step))
            first = True
            while step:
                batch = step.pop(0)  # so that none is held longer than it is needed
                self.objective.prefetch(batch)
                yield MicroBatch(batch, counts, first)
                first = False


def _unchanged(batch: Any) -> Any:
    return batch


def _leave_signals(worker: int) -> None:
    """Let the process that trains answer signals sent to all: it needs its workers until then."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
