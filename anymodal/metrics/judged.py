"""Scores from 1 to 5 in the words of a judge."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from anymodal.metrics.base import Metric
from anymodal.metrics.groups import GroupMeans

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message

_LINE = re.compile(r"^[^:\n]+:[ *]*([1-5])(?:/5)?[ .*]*$", re.M)
_WITHIN = re.compile(r"\bscore[ :*]*([1-5])\b", re.I)


class JudgeScore(Metric):
    """The mean of a judge's scores, over all and by group, each reply's own scores averaged first.

    A reply of the judge has lines such as "Prompt Compliance: 4", or says "Score: 3 (Fair)"; one
    with neither is `missing`. `mean of groups` weighs every group alike.

    Source: Ye et al. 2025, "ImgEdit: a unified image editing dataset and benchmark",
    https://arxiv.org/abs/2505.20275, and the steps of its evaluation.
    """

    def __init__(self) -> None:
        self.means = GroupMeans()

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        score = score_in(reply.text)
        if score is not None:
            self.means.add(score, sample.groups)
        return score is not None

    def _compute(self) -> dict[str, float]:
        figures = self.means.figures("score")
        groups = [value for name, value in figures.items() if name != "score"]
        return {**figures, "mean of groups": sum(groups) / len(groups)} if groups else figures


def score_in(text: str) -> float | None:
    """The mean of the scores in a judge's reply, or None where there are none."""
    scores = [int(score) for score in _LINE.findall(text)] or [
        int(score) for score in _WITHIN.findall(text)[-1:]
    ]
    return sum(scores) / len(scores) if scores else None
