"""Scores from 1 to 5 in the words of a judge."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anymodal.config import ConfigError
from anymodal.metrics.base import Metric
from anymodal.metrics.groups import GroupMeans
from anymodal.metrics.judge_words import stated_score, without_scales

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message

_SCALE = range(1, 6)
_LINE = re.compile(r"^[^:\n]+:[ *\"]*([1-5])(?:\W{0,4}(?:/|out of) *5)?[^\w\n]*$", re.M)


class JudgeScore(Metric):
    """The mean of a judge's scores, over all and by group, each reply's own scores averaged first.

    A reply of the judge has lines such as "Prompt Compliance: 4", or states one score from 1 to 5
    (see `judge_words`); one with neither is `missing`. `mean of groups` weighs every group alike.

    Source: Ye et al. 2025, "ImgEdit: a unified image editing dataset and benchmark",
    https://arxiv.org/abs/2505.20275, and the steps of its evaluation.
    """

    def __init__(self) -> None:
        self.means = GroupMeans()

    def of_single_replies(self, samples: Sequence[EvaluationSample]) -> Metric:
        raise ConfigError(
            "JudgeScore reads what a judge says about a reply, not the reply; take JudgeScorer, "
            "which asks a judge"
        )

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        score = score_in(reply.text)
        if score is not None:
            self.means.add(score, sample.groups)
        return score is not None

    def _compute(self) -> dict[str, float]:
        figures = self.means.figures("score")
        groups = [value for name, value in figures.items() if name != "score"]
        return {**figures, "mean of groups": sum(groups) / len(groups)} if groups else figures

    def sizes(self) -> dict[str, int]:
        return self.means.sizes("score")


def score_in(text: str) -> float | None:
    """The mean of the scores in a judge's reply, or None where there are none."""
    lines = [int(score) for score in _LINE.findall(without_scales(text))]
    if lines:
        return sum(lines) / len(lines)
    score = stated_score(text)
    return score if score in _SCALE else None
