"""Scores in a judge's words."""

from __future__ import annotations

import pytest

from anymodal.metrics.groups import ByGroup
from anymodal.metrics.judge_words import stated_score
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
        ("Score: 9", None),
        ("Prompt Compliance (1-5): 3\n**Seamlessness**: **4** out of 5", 3.5),
        ('{\n"Prompt Compliance": 3,\n"Fidelity": "5/5"\n}', 4.0),
        ("", None),
    ],
)
def test_scores(text: str, score: float | None) -> None:
    assert score_in(text) == score


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Score (1-5): 4", 4),
        ("Score [1 – 5]: **4**", 4),
        ("Score 1-5: 4", 4),
        ("Score (from 1 (all wrong) to 5 (all right)): 4", 4),
        ("Score (1 = wrong, 5 = right): 4", 4),
        ("Score (out of 5): 2", 2),
        ("Score/5: 4", 4),
        ("Score between 1 and 5: 3", 3),
        ("Score (-1 to 1): −0.5", -0.5),
        ('a line "Score: N", a number from 1 (wrong) to 5 (right).\nScore: 2', 2),
        ("4/5", 4),
        ("**4** out of **5**.", 4),
        ("It misses a dog.\n\n**4**", 4),
        ('```json\n{"why": "2 dogs", "score": "4/5", "max_score": 5}\n```', 4),
        ('{"overall_score": 3, "clarity_score": 5}', 3),
        ("<score>4</score>", 4),
        ("| Score | 4 |", 4),
        ("Rating: [[5]]", 5),
        ("## Score\n\n4", 4),
        ("Score: 3\nA score of 5 would need the dog", 3),
        ("I take 1 point off, so I'd give this reply a 4.", 4),
        ("On a scale of 1 to 5, the reply is a 4.", 4),
        ("The score is 4 because 2 of 3 things are right.", 4),
        ("Score: 4 - 1 point off for the dog", 4),
        ("Highest possible score: 5\nScore for reply 1: 2", 2),
        ("4, since the dog is missing", 4),
        ("A score of 5 would need the dog, so I'd give it a solid 3.", 3),
        ("Score 1 means wrong, score 5 means right. My rating is a strong 4.", 4),
        ("Score: 3.5 points off", None),
        ("Score: N/A", None),
        ("Score: 3-4", None),
        ("Score: the reply names 2 dogs", None),
        ("1. The dog is missing.\n2. So is the cat.", None),
    ],
)
def test_a_score_is_read_in_whatever_words(text: str, score: float | None) -> None:
    assert stated_score(text) == score


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
