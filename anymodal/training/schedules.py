"""Schedules of the learning rate by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

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
