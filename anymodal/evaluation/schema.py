"""An evaluation as data: whom to ask, what to ask, and what to measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from anymodal.evaluation.reply_job import ReplyJob
from anymodal.metrics import Metric
from anymodal.metrics.samples import EvaluationSample


@dataclass
class Evaluation(ReplyJob):
    """One evaluation.

    Args:
        settings: of `model.chat`, such as `max_new_tokens` and `sampling`. `choices` is a list of
            texts of which each reply is one, or `per_sample` for those that a sample has.
        metrics: parts that give a `Metric` each, by the name that the results call them.
    """

    place = "evaluation"
    measures = "metrics"

    metrics: dict[str, Any] = MISSING

    def build_metrics(self, samples: Sequence[EvaluationSample]) -> dict[str, Metric]:
        """Build the metrics, and check that the samples have what they need.

        Raises:
            ConfigError: naming the metric, and the key that no sample has.
        """
        return self._build(Metric, samples)  # type: ignore[type-abstract]
