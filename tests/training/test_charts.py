"""Charts of a run's report."""

from __future__ import annotations

import math
import random

import pytest

from anymodal.training.report.charts import line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.042, 0.237, [0.05, 0.1, 0.15, 0.2]),
        (-1.0, 1.0, [-1, -0.5, 0, 0.5, 1]),
        (24.3, 56.6, [30, 40, 50]),
        (2e-4, 1e-3, [2e-4, 4e-4, 6e-4, 8e-4, 1e-3]),
    ],
)
def test_ticks_are_round(low: float, high: float, values: list[float]) -> None:
    assert ticks(low, high) == values


def test_ticks_are_few_and_within_the_range() -> None:
    draw = random.Random(0)
    for _ in range(500):
        low, size = draw.uniform(-1e6, 1e6), 10 ** draw.uniform(-4, 6)
        places = ticks(low, low + size)
        room = 1e-9 * max(abs(low), size)
        assert 2 <= len(places) <= 6, (low, size)
        assert all(low - room <= place <= low + size + room for place in places)


def test_a_chart_has_its_title_once_and_the_last_value() -> None:
    chart = line_chart("loss", {"loss": [(0, 1.0), (1, math.nan), (2, 0.5)]})
    assert chart.count(">loss<") == 1 and ">0.5<" in chart
    both = line_chart("loss", {"loss": [(0, 1.0)], "validation/loss": [(0, 2.0)]})
    assert ">1<" in both and ">validation/loss 2<" in both
