"""Metrics over samples of one's own: thin wrappers of what libraries offer.

Add one by subclassing `Metric`; a configuration names it by `_target_`. What this exports loads on
first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from anymodal.metrics.base import Metric

if TYPE_CHECKING:
    from anymodal.metrics.chair import Chair
    from anymodal.metrics.choices import Accuracy, YesNo
    from anymodal.metrics.classification import ClassificationReport
    from anymodal.metrics.clip import ClipScore
    from anymodal.metrics.distances import FrechetDistance, KernelDistance
    from anymodal.metrics.texts import Bleu, Cider, WordErrorRate

__all__ = [
    "Accuracy",
    "Bleu",
    "Chair",
    "Cider",
    "ClassificationReport",
    "ClipScore",
    "FrechetDistance",
    "KernelDistance",
    "Metric",
    "WordErrorRate",
    "YesNo",
]

_HOME = {
    "Accuracy": "choices",
    "Bleu": "texts",
    "Chair": "chair",
    "Cider": "texts",
    "ClassificationReport": "classification",
    "ClipScore": "clip",
    "FrechetDistance": "distances",
    "KernelDistance": "distances",
    "WordErrorRate": "texts",
    "YesNo": "choices",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
