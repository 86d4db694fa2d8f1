"""Schedules of the learning rate by name, and of an optimizer's groups over a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

STABLE_RATIO = 0.8
"""The share of all steps after the warm-up that `stable` leaves at the peak."""


def stable(progress: float) -> float:
    """1 for most of the run, then a linear decay (Hu et al. 2024, arXiv:2404.06395, WSD)."""
    return min(1.0, (1 - progress) / (1 - STABLE_RATIO))


SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "quadratic": lambda progress: (1 - progress) ** 2,
    "square_root": lambda progress: 1 - math.sqrt(progress),
    "stable": stable,
}
"""By name, the decay from 1 to 0 over the share of the run after the warm-up."""


def rate_at(step: int, steps: int, name: str, warmup_ratio: float, min_lr_ratio: float) -> float:
    """The factor on the peak rate at a step.

    Computed here, since asking Lightning for the number of steps makes a run that resumes within an
    epoch start at the wrong batch (Lightning #20550).

    Args:
        step: from 0.
        steps: of the run.
        name: of the schedule.
        warmup_ratio: share of all steps over which the rate grows linearly from 0.
        min_lr_ratio: the factor at the last step, but for `constant`.
    """
    warmup = max(1, round(warmup_ratio * steps))
    if step < warmup:
        return (step + 1) / warmup
    if name == "constant":
        return 1.0
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return min_lr_ratio + (1 - min_lr_ratio) * SCHEDULES[name](progress)


class RunSchedule(LambdaLR):
    """The rates of an optimizer's groups over a run.

    A checkpoint brings back the settings that groups had when it was written. Those of the run as
    it is now hold from there on, since a user may have changed them.

    Args:
        optimizer: just built, so that its groups have the run's settings.
        factors: of each group, the factor on its rate at a step.
    """

    def __init__(self, optimizer: Optimizer, factors: Sequence[Callable[[int], float]]) -> None:
        self.settings: list[dict[str, Any]] = [
            {name: group[name] for name in ("weight_decay", "betas") if name in group}
            for group in optimizer.param_groups
        ]
        super().__init__(optimizer, list(factors))

    def state_dict(self) -> dict[str, Any]:
        """The step that it has come to, for a checkpoint."""
        state: dict[str, Any] = super().state_dict()
        return {name: value for name, value in state.items() if name != "settings"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at a checkpoint's step, with the settings of now; the optimizer is loaded before.

        Args:
            state_dict: of the checkpoint.
        """
        peaks = self.base_lrs
        super().load_state_dict(state_dict)
        self.base_lrs = peaks
        rates = [
            peak * factor(self.last_epoch)
            for peak, factor in zip(peaks, self.lr_lambdas, strict=True)
        ]
        self._last_lr = rates
        groups = self.optimizer.param_groups
        for group, peak, rate, own in zip(groups, peaks, rates, self.settings, strict=True):
            group.update(own, initial_lr=peak, lr=rate)
