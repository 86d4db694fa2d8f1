"""A learning-rate range test: a run's first steps with a rate that grows from step to step."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning as L
from torch.optim import Optimizer

from anymodal.config import ConfigError
from anymodal.io.checkpoint import replacing
from anymodal.training.building import build
from anymodal.training.configuration import MOST, Run
from anymodal.training.module import StageModule
from anymodal.training.run import fit_objective, read_run

SMOOTHING = 0.9
"""Share of the mean so far in the mean of losses."""
DIVERGED = 4.0
"""Times the best loss, from which on nothing more is learned about rates."""
MIN_STEPS = 10


@dataclass(frozen=True)
class RateCurve:
    """Losses by learning rate.

    Attributes:
        rates: of each step, in order.
        losses: of each step.
        smoothed: exponential means of the losses, without the bias of their beginning.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]

    @property
    def suggestion(self) -> float | None:
        """The rate at which the smoothed loss falls fastest over the rate's logarithm.

        None if it never falls. Source: Smith 2017, arXiv:1506.01186, section 3.3.
        """
        start = MIN_STEPS // 2  # the means before are of too few steps to tell a slope
        means = self.smoothed[start:]
        if not means:
            return None
        falls = [after - before for before, after in pairwise(means[: means.index(min(means)) + 1])]
        return self.rates[start + falls.index(min(falls))] if falls and min(falls) < 0 else None

    def write(self, path: Path) -> None:
        """Write a CSV of rates, losses and smoothed losses."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            rows = zip(self.rates, self.losses, self.smoothed, strict=True)
            csv.writer(file).writerows([("rate", "loss", "smoothed"), *rows])


def find_rate(
    path: str | Path,
    overrides: Iterable[str] = (),
    *,
    low: float = 1e-7,
    high: float = 1.0,
    steps: int = 100,
) -> RateCurve:
    """Train a configuration's first steps, each with a larger rate, and forget what was learned.

    The batches are those that the run begins with, its precision, losses and optimizer are the
    run's own. `optimizer.lr` is what grows; rates of groups, and Muon's, keep their ratio to it.
    Nothing is written to the run's folder, and nothing of it is read.

    Args:
        path: the training configuration.
        overrides: `key=value` changes to it.
        low: the first rate.
        high: the last one, unless the loss diverges before.
        steps: optimiser steps.

    Raises:
        ConfigError: for rates or a number of steps that make no curve.
    """
    if not 0 < low < high < math.inf:
        raise ConfigError(f"rates from {low:g} to {high:g} don't grow; give LOW:HIGH above 0")
    if steps < MIN_STEPS:
        raise ConfigError(f"{steps} steps make no curve; give at least {MIN_STEPS}")
    run = read_run(path, overrides)
    with tempfile.TemporaryDirectory() as folder:
        test = _short_run(run, folder, steps)
        objective, data = build(test)
        growth = _GrowingRate(run.optimizer.lr, low, high, steps)
        fit_objective(objective, data, test, None, [growth], False)
    return RateCurve(growth.rates, growth.losses, growth.smoothed)


def _short_run(run: Run, folder: str, steps: int) -> Run:
    """A run of so many steps that leaves nothing behind."""
    return replace(
        run,
        output_dir=folder,
        steps=steps,
        epochs=None,
        validation=None,
        ema=None,
        callbacks=[],
        loggers=False,
        log_every=1,
        save_every=MOST,
        max_skipped=MOST,
    )


class _GrowingRate(L.Callback):
    """Sets each step's rate, and ends the run where the loss diverges.

    Args:
        own_rate: the run's own, by which groups' rates are known.
        low: the first rate.
        high: the last.
        steps: from the first to the last.
    """

    def __init__(self, own_rate: float, low: float, high: float, steps: int) -> None:
        self.own_rate, self.low, self.high, self.steps = own_rate, low, high, steps
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.mean = 0.0

    def rate(self, step: int) -> float:
        """The rate of a step, from 0."""
        return float(self.low * (self.high / self.low) ** (step / (self.steps - 1)))

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer
    ) -> None:
        # Here, after the schedule has set its own.
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] / self.own_rate * self.rate(trainer.global_step)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: object) -> None:
        step = trainer.global_step
        if step == len(self.rates):  # batches of the step are still to come
            return
        assert isinstance(pl_module, StageModule), "a run's own"
        loss = pl_module.progress.last_loss
        if not math.isfinite(loss):
            trainer.should_stop = True
            return
        self.mean = SMOOTHING * self.mean + (1 - SMOOTHING) * loss
        self.rates.append(self.rate(step - 1))
        self.losses.append(loss)
        self.smoothed.append(self.mean / (1 - SMOOTHING ** len(self.losses)))
        if _has_diverged(self.smoothed):
            trainer.should_stop = True


def _has_diverged(smoothed: Sequence[float]) -> bool:
    best = min(smoothed)
    return len(smoothed) > MIN_STEPS and smoothed[-1] - best > (DIVERGED - 1) * abs(best)
