"""Scores in a judge's words."""

from __future__ import annotations

import pytest

from anymodal.metrics.groups import ByGroup
from anymodal.metrics.judged import JudgeScore, score_in
from anymodal.metrics.texts import WordErrorRate
from tests.support.samples import figures, reply_of, sample


@pytest.mark.parametrize(
    ("text", "score"),
    [  # the first two as ImgEdit's own pages show them
        (
            "Brief reasoning: No texture change applied; shell remains textured.\n"
            "Prompt Compliance: 1\nVisual Seamlessness: 4\nPhysical & Detail Fidelity: 4",
            3.0,
        ),
        ("Brief reasoning: Logos replaced; edits unnatural. Score: 3 (Acceptable)", 3.0),
        ("**Style Fidelity:** 5\n**Content Preservation:** 4/5", 4.5),
        ("Score: 2.", 2.0),
        ("I like it.", None),
        ("Compliance: 9", None),
        ("", None),
    ],
)
def test_scores(text: str, score: float | None) -> None:
    assert score_in(text) == score


def test_means_by_group_and_missing_judgements() -> None:
    rows = [("add", "Score: 5"), ("add", "Score: 3"), ("add", "hm"), ("style", "Score: 1")]
    pairs = [(sample(n, groups=(g,)), reply_of(text)) for n, (g, text) in enumerate(rows)]
    assert figures(JudgeScore(), pairs) == {
        "score": 3.0, "score, add": 4.0, "score, style": 1.0, "mean of groups": 2.5,
        "count": 4, "missing": 1,
    }  # fmt: skip


def test_any_metric_by_group() -> None:
    pairs = [
        (sample(1, references=("a b",), groups=("x",)), reply_of("a b")),
        (sample(2, references=("a b",), groups=("x", "y")), reply_of("a c")),
    ]
    assert figures(ByGroup(WordErrorRate), pairs) == {
        "word_error_rate": 0.25, "word_error_rate, x": 0.25, "word_error_rate, y": 0.5, "count": 2
    }  # fmt: skip
    assert "word_error_rate" not in figures(ByGroup(WordErrorRate, total=False), pairs)
