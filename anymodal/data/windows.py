"""Windows of a recording and their labels, from the intervals that have one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from anymodal.data.entry_keys import check_keys, is_empty
from anymodal.data.schemas.base import without_point

_SLACK = 1e-6
"""Seconds by which a window may end after its interval, so that rounding drops none."""


class Interval(NamedTuple):
    """A time, in seconds, during which a label holds."""

    start: float
    end: float
    label: str


class Window(NamedTuple):
    """The first second of a window, and its label."""

    start: float
    label: str


INTERVALS = "intervals"
"""The key of a list of intervals."""
OWN = ("start", "end", "seconds", "label")
"""Keys of an interval, in that list or in a row of its own."""


def interval_rows(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The intervals of a row, each with its keys.

    Raises:
        ValueError: if there are none, or they stand in the row and in a list.
    """
    own = {key: entry[key] for key in OWN if not is_empty(entry.get(key))}
    several = entry.get(INTERVALS)
    if bool(own) == bool(several):
        raise ValueError("a recording has intervals, or start, end and label of one")
    rows = several if several else [own]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"intervals are {rows!r}, not a list of objects")
    for row in rows:
        if row.keys() - set(OWN):
            check_keys(row, OWN, "an interval")
    return rows


def interval_of(row: Mapping[str, Any], rate: float = 1.0) -> Interval:
    """The interval of `start`, `end` or `seconds`, and `label`.

    Args:
        row: with these keys.
        rate: units of time in a second: 1 where times are seconds, 1000 for milliseconds.

    Raises:
        ValueError: if a time isn't a number, or the interval ends before it starts.
    """
    start = _number(row, "start")
    if ("end" in row) == ("seconds" in row):
        raise ValueError("an interval has either end or seconds beside its start")
    end = _number(row, "end") if "end" in row else start + _number(row, "seconds")
    if not 0 <= start < end:
        raise ValueError(f"an interval goes from {start:g} to {end:g}; it must last some time")
    return Interval(start / rate, end / rate, str(without_point(row.get("label"))))


def _number(row: Mapping[str, Any], key: str) -> float:
    try:
        value = float(row[key])
    except (KeyError, TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or isinstance(row[key], bool):
        raise ValueError(f"{key} of an interval is {row.get(key)!r}; give a number")
    return value


def intervals_of(labels: Sequence[str], rate: float) -> list[Interval]:
    """The intervals in which a label stays the same, of one label a sample.

    Args:
        labels: of each sample; an empty one is none.
        rate: samples a second.
    """
    intervals = []
    first = 0
    for place in range(1, len(labels) + 1):
        if place == len(labels) or labels[place] != labels[first]:
            if labels[first]:
                intervals.append(Interval(first / rate, place / rate, labels[first]))
            first = place
    return intervals


def in_order(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals by their start.

    Raises:
        ValueError: if two of them overlap.
    """
    ordered = sorted(intervals)
    for one, other in pairwise(ordered):
        if other.start < one.end - _SLACK:
            raise ValueError(
                f"{one.label!r} until {one.end:g} s and {other.label!r} from {other.start:g} s "
                "overlap; give one label for each time"
            )
    return ordered


def windows_throughout(
    intervals: Iterable[Interval], seconds: float, hop: float
) -> Iterator[Window]:
    """Windows that lie within one interval, from its start on."""
    for start, end, label in intervals:
        count = math.floor((end - start - seconds + _SLACK) / hop) + 1
        for number in range(max(0, count)):
            yield Window(start + number * hop, label)


def windows_by_majority(
    intervals: Sequence[Interval], seconds: float, hop: float
) -> Iterator[Window]:
    """Windows from the first interval's start to the last one's end, with the label that holds
    longest in each; it must hold for half of the window.
    """
    if not intervals:
        return
    start, end, first = intervals[0].start, intervals[-1].end, 0
    count = math.floor((end - start - seconds + _SLACK) / hop) + 1
    for number in range(max(0, count)):
        at = start + number * hop
        while intervals[first].end <= at:  # windows come in order
            first += 1
        shares: dict[str, float] = {}
        place = first
        while place < len(intervals) and intervals[place].start < at + seconds:
            interval = intervals[place]
            share = min(interval.end, at + seconds) - max(interval.start, at)
            shares[interval.label] = shares.get(interval.label, 0.0) + share
            place += 1
        if shares:
            label = max(shares, key=lambda name: shares[name])
            if shares[label] >= seconds / 2 - _SLACK:
                yield Window(at, label)
