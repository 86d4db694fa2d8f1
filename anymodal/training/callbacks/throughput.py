"""Speed, waiting and memory of a run, and its learning rates."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import lightning as L
import torch
from torch.optim import Optimizer

from anymodal.distributed import collectives

ItemT = TypeVar("ItemT")


class Throughput(L.Callback):
    """Figures of the time since the last line of the log; validation and saving don't count.

    Args:
        batch_size: samples of a batch, in each process.

    Attributes:
        totals: numbers of things in this session's batches, by what they are, in this process.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.totals: dict[str, int] = {}
        self.rates: dict[str, float] = {}
        self._reset()

    def _reset(self) -> None:
        self.busy = self.waiting = 0.0  # seconds
        self.counts: dict[str, int] = {}

    def timed(self, batches: Iterable[ItemT]) -> Iterable[ItemT]:
        """The same batches, whose waiting is measured."""
        return _Timed(batches, self)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: object
    ) -> None:
        self.begin = time.perf_counter()

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer
    ) -> None:
        # Here, where the schedule hasn't moved them on yet.
        self.rates = {
            f"lr/{group['name']}" if group.get("name") else "lr": float(group["lr"])
            for group in optimizer.param_groups
        }

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: Any,
        outputs: object,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.busy += time.perf_counter() - self.begin
        things = {"samples": self.batch_size, **pl_module.objective.statistics(batch.batch)}
        for name, count in things.items():
            self.counts[name] = self.counts.get(name, 0) + count
            self.totals[name] = self.totals.get(name, 0) + count

    def take(self) -> Mapping[str, float]:
        """The figures since this was last called; speeds are those of all processes."""
        seconds, processes = max(self.busy + self.waiting, 1e-9), collectives.world_size()
        figures = {
            **self.rates,
            "data_wait": self.waiting / seconds,
            "samples_per_second": self.counts.get("samples", 0) * processes / seconds,
            "memory_gb": peak_memory() / 2**30,
        }
        if "tokens" in self.counts:
            figures["tokens_per_second"] = self.counts["tokens"] * processes / seconds
        self._reset()
        return figures


class _Timed(Iterable[ItemT]):
    """Batches, whose waiting is noted."""

    def __init__(self, batches: Iterable[ItemT], throughput: Throughput) -> None:
        self.batches, self.throughput = batches, throughput

    def __iter__(self) -> Iterator[ItemT]:
        batches = iter(self.batches)
        while True:
            begin = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self.throughput.waiting += time.perf_counter() - begin
            yield batch


def peak_memory() -> int:
    """The most bytes that this process has had on its accelerator, or without one in memory."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024  # of kilobytes
