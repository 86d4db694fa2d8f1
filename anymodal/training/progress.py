"""A run's progress: batches consumed and steps skipped."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from anymodal.config import ConfigError
from anymodal.distributed import collectives
from anymodal.training.configuration import Run
from anymodal.training.steps import StepReport

_LOG = logging.getLogger("anymodal")


class Progress:
    """Counts batches, and bad steps, which change nothing.

    A step is bad where a loss of one of its batches isn't finite, or its gradient, or where it has
    nothing to learn from; all its batches are then skipped.

    Args:
        run: the run's settings.

    Attributes:
        batches: consumed by each process, over all resumed sessions.
        skipped_in_row: bad steps in a row.
        skipped_in_all: batches that changed nothing.
        last_bad: the last bad batches, and why.
        last_loss: of the last step; NaN of a bad one.
        samples_of: the samples of a batch, by its number; None where unknown.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.batches = 0
        self.skipped_in_row = 0
        self.skipped_in_all = 0
        self.last_bad = ""
        self.last_loss = math.nan
        self.samples_of: Callable[[int], Sequence[int]] | None = None

    def check_alike(self) -> None:
        """Check that all processes go on from the same checkpoint.

        Raises:
            ConfigError: if they don't.
        """
        count = collectives.world_size()
        if collectives.all_reduce_sum(torch.tensor(self.batches)) != count * self.batches:
            raise ConfigError(
                f"process {collectives.rank()} goes on at batch {self.batches} and others "
                f"elsewhere; output_dir={self.run.output_dir} must be a folder that all nodes share"
            )

    def take(self, report: StepReport) -> bool:
        """Count a step as good or bad; True if it may change the weights.

        Raises:
            FloatingPointError: if `max_skipped` steps in a row were bad.
        """
        why = self._fault(report)
        self.last_loss = math.nan if why else report.loss
        if why:
            self._blame(report.bad, why)
            self.skipped_in_row += 1
            if self.skipped_in_row >= self.run.max_skipped:
                raise FloatingPointError(
                    f"{self.skipped_in_row} bad steps in a row, the last at {self.last_bad}; "
                    f"lower optimizer.lr (now {self.run.optimizer.lr}) or look at those samples"
                )
            return False
        self.skipped_in_row = 0
        return True

    def _fault(self, report: StepReport) -> str:
        if not report.figures:
            return f"no loss of {list(self.run.stage.losses)} has anything to learn from"
        if report.bad:
            return f"loss {report.loss}"
        return "" if math.isfinite(report.norm) else f"gradient norm {report.norm}"

    def _blame(self, bad: Sequence[int], why: str) -> None:
        """Name the batches of the step under way that spoiled it, or all of them."""
        size, count = self.run.accumulate_grad_batches, collectives.world_size()
        self.skipped_in_all += size
        before = self.batches - size
        # Of P processes, process k takes batches k, k + P, …, so places count on through all.
        numbers = [before * count + place for place in bad or range(size * count)]
        first, last = numbers[0] // count + 1, numbers[-1] // count + 1
        name = f"batch {first}" if first == last else f"batches {first} to {last}"
        if self.samples_of is not None:
            samples = [index for number in numbers for index in self.samples_of(number)]
            name += f" (samples {', '.join(map(str, samples))})"
        self.last_bad = f"{name}: {why}"
        if collectives.rank() == 0:
            others = f", and with it the {size} batches of its step" if bad and size > 1 else ""
            _LOG.warning("%s, skipped%s", self.last_bad, others)

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Write it into a checkpoint."""
        checkpoint["batches"] = self.batches
        checkpoint["samples"] = self.batches * self._drawn_at_once
        checkpoint["processes"] = collectives.world_size()
        checkpoint["skipped"] = [self.skipped_in_row, self.skipped_in_all]

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint, which may be of another number of processes.

        Raises:
            ConfigError: if this run's batches don't divide the samples that were seen.
        """
        # Files from before `samples` and `skipped` were of one process, which had skipped nothing.
        samples = checkpoint.get("samples", checkpoint["batches"] * self.run.batch_size)
        if samples % self._drawn_at_once:
            raise ConfigError(
                f"the checkpoint has seen {samples} samples, which are no whole number of batches "
                f"of {self.run.batch_size} in each of {collectives.world_size()} processes; choose "
                "batch_size so that all processes together draw as many as before"
            )
        self.batches = samples // self._drawn_at_once
        self.skipped_in_row, self.skipped_in_all = checkpoint.get("skipped", [0, 0])
        size = self.run.accumulate_grad_batches
        if self.batches != checkpoint["batches"] or self.batches % size:
            # Lightning counts them too, to know where an optimiser step ends.
            step = checkpoint["global_step"] * size
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
            for counts in (progress["total"], progress["current"]):
                counts.update(dict.fromkeys(counts, step))

    @property
    def _drawn_at_once(self) -> int:
        """Samples in the batches that all processes draw at a time."""
        return self.run.batch_size * collectives.world_size()
