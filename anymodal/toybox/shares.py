"""Shares of attributes that are right, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

Z = 1.959964
"""The standard normal quantile of a two-sided 95 % interval."""


class Share(TypedDict):
    """A share and its 95 % interval; both None where nothing was counted."""

    share: float | None
    interval: tuple[float, float] | None


class AttributeShares(Share):
    """The share of attributes that are right, in all and each."""

    by_attribute: dict[str, float]


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share measured on `count` samples.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if count == 0:
        return 0.0, 1.0
    scale = 1 + Z**2 / count
    middle = (share + Z**2 / (2 * count)) / scale
    reach = Z * math.sqrt(share * (1 - share) / count + (Z / (2 * count)) ** 2) / scale
    # Rounding must not put an end of the interval on the wrong side of the share.
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))


def proportion(marks: Sequence[bool], count: int | None = None) -> Share:
    """The share of marks that are right, and its interval.

    Args:
        marks: right or wrong.
        count: samples that they come from, where several marks of one stand or fall together.
    """
    if not marks:
        return {"share": None, "interval": None}
    share = sum(marks) / len(marks)
    return {"share": share, "interval": wilson(share, len(marks) if count is None else count)}


def attributes(scores: Sequence[Mapping[str, bool]]) -> AttributeShares:
    """The share of attributes that are right, over the scores of several media.

    The interval counts media, not attributes, since those of one medium are not independent.
    """
    right: dict[str, list[bool]] = {}
    for marks in scores:
        for name, mark in marks.items():
            right.setdefault(name, []).append(mark)
    every = [mark for marks in right.values() for mark in marks]
    return {
        **proportion(every, sum(bool(marks) for marks in scores)),
        "by_attribute": {name: sum(marks) / len(marks) for name, marks in right.items()},
    }
