"""Scores of MME, against a table counted by hand."""

from __future__ import annotations

import pytest

from anymodal.metrics.mme import MmeScore
from tests.support.samples import figures, reply_of, sample


def test_a_table_counted_by_hand() -> None:
    table = [
        ("count", "1", "yes", "Yes"), ("count", "1", "no", "No, there isn't."),
        ("count", "2", "yes", "yes."), ("count", "2", "no", "Yes, it is"),
        ("count", "3", "yes", "It is"), ("count", "3", "no", "nothing"),  # begins with "no"
        ("OCR", "1", "yes", "no"), ("OCR", "1", "no", "not at all"),
        ("code_reasoning", "1", "yes", " yes"),  # whose second question has no reply
    ]  # fmt: skip
    pairs = [
        (sample(n, answer=answer, groups=(category,), unit=f"{category}/{unit}"), reply_of(text))
        for n, (category, unit, answer, text) in enumerate(table)
    ]
    third = 100 / 3
    metric = MmeScore()
    assert figures(metric, pairs) == {
        "acc, count": pytest.approx(2 * third), "acc+, count": pytest.approx(third),
        "score, count": pytest.approx(100),
        "acc, OCR": 50, "acc+, OCR": 0, "score, OCR": 50,
        "acc, code_reasoning": 100, "acc+, code_reasoning": 0, "score, code_reasoning": 100,
        "perception": pytest.approx(150), "cognition": 100, "unclear": pytest.approx(1 / 9),
        "unpaired": 1, "count": 9,
    }  # fmt: skip
    assert metric.sizes() == {
        "acc, count": 6, "acc+, count": 3, "score, count": 6,
        "acc, OCR": 2, "acc+, OCR": 1, "score, OCR": 2,
        "acc, code_reasoning": 1, "acc+, code_reasoning": 0, "score, code_reasoning": 1,
    }  # fmt: skip


def test_other_samples_are_passed_over() -> None:
    metric = MmeScore()
    metric.update(sample(1, answer="ball", groups=("count",), unit="1"), reply_of("yes"))
    metric.update(sample(2, answer="yes"), reply_of("yes"))
    assert metric.compute() == {"count": 0}
