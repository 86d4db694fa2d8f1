"""Shares of attributes that are right, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from anymodal.metrics.intervals import wilson


class Share(TypedDict):
    """A share and its 95 % interval; both None where nothing was counted."""

    share: float | None
    interval: tuple[float, float] | None


class AttributeShares(Share):
    """The share of attributes that are right, in all and each."""

    by_attribute: dict[str, float]


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


def percent(share: float | None) -> str:
    """A share as text: 93.8, or a dash where there is none."""
    return "–" if share is None else f"{100 * share:.1f}"


def span(interval: Sequence[float] | None) -> str:
    """An interval as text, in whole per cent."""
    return "–" if interval is None else "–".join(f"{100 * end:.0f}" for end in interval)
