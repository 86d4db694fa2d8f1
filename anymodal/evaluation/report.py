"""Scores and their statistics, as numbers and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Z = 1.959964
"""The standard normal quantile of a two-sided 95 % interval."""


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share measured on `count` samples.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if count == 0:
        return 0.0, 1.0
    scale = 1 + Z**2 / count
    middle = (share + Z**2 / (2 * count)) / scale
    reach = Z * math.sqrt(share * (1 - share) / count + (Z / (2 * count)) ** 2) / scale
    # Rounding must not put the end of a share of 0 or 1 beyond it.
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))


def attributes(scores: Iterable[Mapping[str, bool]]) -> dict[str, Any]:
    """Shares of attributes that are right, each and in all, over the scores of several media.

    The share in all is that of all single attributes; its interval takes each as one sample.
    """
    right: dict[str, list[bool]] = {}
    for marks in scores:
        for name, mark in marks.items():
            right.setdefault(name, []).append(mark)
    flat = [mark for marks in right.values() for mark in marks]
    share = sum(flat) / len(flat) if flat else None
    return {
        "share": share,
        "interval": wilson(share, len(flat)) if share is not None else None,
        "count": len(flat),
        "by_attribute": {name: sum(marks) / len(marks) for name, marks in right.items()},
    }


def percent(share: float | None) -> str:
    """A share as text: 93.8, or a dash where there is none."""
    return "–" if share is None else f"{100 * share:.1f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned; all but the first hold numbers."""
    widths = [max(3, *(len(row[i]) for row in (head, *rows))) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join((first, *rest))} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(head), line(rule), *(line(row) for row in rows)])
