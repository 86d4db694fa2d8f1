"""Worker processes that read and prepare samples while another process computes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

MAX_WORKERS = 8
"""Workers of a process where nobody names a number: each holds two batches or more."""


def num_processors() -> int:
    """Processors that this process may use for workers; none where a fork isn't safe."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 0


def num_workers(configured: int | None, data: object, processes: int = 1) -> int:
    """The number of workers of a training process: a configuration's, or as many as fit.

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
    if not getattr(data, "reads_files", False):
        return 0
    processes = max(processes, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    return max(0, min(MAX_WORKERS, num_processors() // processes - 1))


class PackedTensor(NamedTuple):
    """A tensor as bytes, which go through a pipe.

    torch sends tensors through shared memory, of which containers often have 64 MB.
    """

    data: NDArray[np.uint8]
    dtype: torch.dtype
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> Self:
        """The bytes of a tensor on the CPU, shared where it is contiguous."""
        flat = tensor.detach().contiguous().reshape(-1)
        return cls(flat.view(torch.uint8).numpy(), tensor.dtype, tuple(tensor.shape))

    def tensor(self) -> Tensor:
        """The tensor, which shares the bytes."""
        return torch.from_numpy(self.data).view(self.dtype).view(self.shape)


class Loader(DataLoader[Any]):
    """Items of a data set in their order, from workers, whose errors are raised here.

    Args:
        data: items by index, or an iterable that deals them to workers itself; an item that is an
            exception is raised.
        workers: processes that read; 0 for this one.
        ahead: items that are drawn at once, for which workers then have others ready.

    Raises:
        ChildProcessError: while iterating, if a worker was killed.
    """

    def __init__(self, data: Dataset[Any], workers: int, ahead: int = 1) -> None:
        super().__init__(
            data,
            batch_size=None,
            num_workers=workers,
            # Forked, not pickled: what prepares belongs to a model, whole.
            multiprocessing_context="fork" if workers else None,
            prefetch_factor=max(2, -(-ahead // workers) + 1) if workers else None,
            worker_init_fn=_leave_signals,
            collate_fn=_unchanged,  # torch's own would make tensors of arrays within
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        items = super().__iter__()
        try:
            for item in items:
                if isinstance(item, Exception):
                    raise item
                yield item
        except RuntimeError as error:
            if isinstance(items, _MultiProcessingDataLoaderIter) and _lost(items):
                raise ChildProcessError(
                    "a worker process was ended from outside, as where memory runs out; take fewer "
                    "workers, 0 for none, and start again to go on"
                ) from error
            raise
        finally:
            # Now: an error's traceback holds them until Python ends, which waits for them for ever,
            # since they leave signals alone.
            if isinstance(items, _MultiProcessingDataLoaderIter):
                items._shutdown_workers()


def _lost(items: _MultiProcessingDataLoaderIter) -> bool:
    """Return whether a worker has ended before its time."""
    return not all(worker.is_alive() for worker in items._workers)


def _unchanged(item: object) -> object:
    return item


def _leave_signals(worker: int) -> None:
    """Let the process that workers read for answer signals: it needs them until it has ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
