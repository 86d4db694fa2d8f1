"""Figures of a matrix by kind of request, and beside what nano is to reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

from anymodal.io.results import markdown_table
from anymodal.toybox.frozen_sets import PLAIN
from anymodal.toybox.records import DialogueRecord, TurnRecord
from anymodal.toybox.scene import VALUES
from anymodal.toybox.shares import (
    AttributeShares,
    Share,
    attributes,
    percent,
    proportion,
    span,
)

Turns = Sequence[TurnRecord]


class KindFigures(TypedDict):
    """The figures of the requests of one kind in one task, of all scenes together.

    Attributes:
        line: the task.
        kind: of request.
        count: how many requests.
        whole: the share that is right in everything: kinds of media, attributes, words.
        right: the shares of attributes and words.
        media: the share with exactly the media asked for, in order.
        measures: means of what was measured of the media, by name.
    """

    line: str
    kind: str
    count: int
    whole: Share
    right: AttributeShares
    media: Share
    measures: dict[str, float]


class GoalFigure(TypedDict):
    """A figure of some requests, and what it is to reach, if anything."""

    name: str
    count: int
    value: float
    interval: tuple[float, float] | None
    goal: float | None


def is_whole(turn: TurnRecord) -> bool:
    """Whether a reply is right in everything."""
    marks = [mark for each in turn["right"] for mark in each.values()]
    return turn["media"]["asked"] == turn["media"]["given"] and all(marks)


def figures_by_kind(records: Sequence[DialogueRecord]) -> list[KindFigures]:
    """The figures of every kind of request, of the tasks that have several."""
    groups: dict[tuple[str, str], list[TurnRecord]] = {}
    for record in records:
        for turn in record["turns"]:
            if "kind" in turn:
                groups.setdefault((record["line"], turn["kind"]), []).append(turn)
    return [
        {
            "line": line,
            "kind": kind,
            "count": len(turns),
            "whole": proportion([is_whole(turn) for turn in turns]),
            "right": attributes([marks for turn in turns for marks in turn["right"]]),
            "media": proportion(list(_media(turns))),
            "measures": _means(turns),
        }
        for (line, kind), turns in groups.items()
    ]


def _means(turns: Turns) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for turn in turns:
        for name, value in turn.get("measures", {}).items():
            values.setdefault(name, []).append(value)
    return {name: sum(each) / len(each) for name, each in values.items()}


def _media(turns: Turns) -> Iterator[bool]:
    """Whether exactly the media asked for came, in order."""
    return (turn["media"]["asked"] == turn["media"]["given"] for turn in turns)


def _whole(turns: Turns) -> Iterator[bool]:
    return map(is_whole, turns)


def _attributes(turns: Turns) -> Iterator[bool]:
    """Every expected attribute; what did not come is wrong."""
    for turn in turns:
        for marks in turn["right"]:
            yield from (mark for name, mark in marks.items() if name in VALUES)


def _mark(name: str) -> Callable[[Turns], Iterator[bool]]:
    return lambda turns: (m[name] for turn in turns for m in turn["right"] if name in m)


def _measure(name: str) -> Callable[[Turns], Iterator[float]]:
    return lambda turns: (m[name] for turn in turns if name in (m := turn.get("measures", {})))


@dataclass(frozen=True)
class Goal:
    """A figure that nano is to reach.

    Args:
        name: of the figure.
        task: its task.
        values: takes its values off the requests; their mean is the figure.
        goal: the least that it is to be, or None.
        kinds: of request; all if empty.
        other_than: a kind that is left out.
    """

    name: str
    task: str
    values: Callable[[Turns], Iterator[float]]
    goal: float | None
    kinds: tuple[str, ...] = ()
    other_than: str = ""

    def figure(self, records: Sequence[DialogueRecord]) -> GoalFigure | None:
        """The figure of some conversations; None where they have none."""
        turns = [
            turn
            for record in records
            for turn in record["turns"]
            if record["line"] == self.task
            and (not self.kinds or turn.get("kind") in self.kinds)
            and turn.get("kind") != self.other_than
        ]
        by_turn = [each for turn in turns if (each := list(self.values([turn])))]
        values = [value for each in by_turn for value in each]
        if not values:
            return None
        value = sum(values) / len(values)
        is_share = set(values) <= {0, 1}
        interval = proportion([bool(x) for x in values], len(by_turn))["interval"]
        return {
            "name": self.name,
            "count": len(by_turn),
            "value": value,
            "interval": interval if is_share else None,
            "goal": self.goal,
        }


SINGLE = ("color", "size", "thing")
"""The kinds of edits that are no chain's."""

GOALS = (
    Goal("people: kinds of media", "set:people", _media, 0.97),
    Goal("people: attributes", "set:people", _attributes, 0.94),
    Goal("several: kinds of media", "set:several", _media, 0.92),
    Goal("several: attributes", "set:several", _attributes, 0.92),
    Goal("image in other light → text", "light:image", _attributes, 0.94),
    Goal("audio in rooms and noise → text", "light:audio", _attributes, 0.95),
    Goal("IMU in any orientation → text", "light:imu", _attributes, None),
    Goal("slow videos → text: the way they go", "light:video", _mark("motion"), 0.99),
    Goal("text → slow videos: the way they go", "slow videos", _mark("motion"), 0.99),
    Goal("questions: single", "set:questions", _mark("words"), None, ("single",)),
    Goal("questions: compound", "set:questions", _mark("words"), 0.95, ("compound",)),
    Goal("questions: yes or no", "set:questions", _mark("words"), None, ("yes_no",)),
    Goal("questions: answered in words", "set:questions", _media, 0.99),
    Goal("conversation: turns wholly right", "set:conversation", _whole, 0.9),
    Goal("… references", "set:conversation", _whole, 0.9, ("reference",)),
    Goal("… comparisons", "set:conversation", _whole, 0.88, ("comparison",)),
    Goal("… combinations", "set:conversation", _whole, 0.85, ("combination",)),
    Goal("… questions about its own media", "set:conversation", _whole, 0.9, ("own_media",)),
    Goal("outside its world: nothing made", "set:unknown", _media, 0.98, (), "inside"),
    Goal("… says that it doesn't know", "set:unknown", _mark("refusal"), 0.92),
    Goal("… no false refusal inside", "set:unknown", _mark("no refusal"), 0.995),
    Goal("silhouette, big", "silhouettes", _measure("silhouette"), 0.88, ("big",)),
    Goal("silhouette, small", "silhouettes", _measure("silhouette"), 0.82, ("small",)),
    Goal("edits: attribute asked for", "edits", _measure("asked"), 0.97, SINGLE),
    Goal("… centre within 2 pixels", "edits", _measure("centre kept"), None, SINGLE),
    Goal("… area within 8 %", "edits", _measure("area kept"), None, SINGLE),
    Goal("… SSIM of the ground", "edits", _measure("ground SSIM"), 0.92, SINGLE),
    Goal("clips from a picture: motion", "clips", _measure("asked"), 0.96),
    Goal("… SSIM of the first frame", "clips", _measure("first frame SSIM"), 0.9),
)  # fmt: skip
"""What nano is to reach."""

DIFFERENCES = (
    ("forms: the worst way to type, to plain words", "set:forms", PLAIN, "", -0.01),
    ("chain: the fifth edit, to the first", "edits", "chain, edit 1", "chain, edit 5", -0.02),
)
"""Name, task, the kind to compare with, the kind compared (the worst if empty), and the goal."""


def goal_figures(records: Sequence[DialogueRecord]) -> list[GoalFigure]:
    """The figures of the goals that some conversations have."""
    figures = [figure for goal in GOALS if (figure := goal.figure(records)) is not None]
    kinds = figures_by_kind(records)
    for name, task, base, kind, least in DIFFERENCES:
        shares = {each["kind"]: each for each in kinds if each["line"] == task}
        others = [each for each in shares if each == kind or (not kind and each != base)]
        if base in shares and others:
            worst = min(others, key=lambda each: _share(shares[each]))
            figures.append(
                {
                    "name": f"{name} ({worst})",
                    "count": shares[worst]["count"],
                    "value": _share(shares[worst]) - _share(shares[base]),
                    "interval": None,
                    "goal": least,
                }
            )
    return figures


def _share(kind: KindFigures) -> float:
    return kind["right"]["share"] or 0.0


def kind_tables(kinds: Sequence[KindFigures], goals: Sequence[GoalFigure]) -> str:
    """Markdown tables: figures by kind of request, measures by kind, and goals."""
    plain = {each["line"]: _share(each) for each in kinds if each["kind"] == PLAIN}
    rows = [
        [
            each["line"],
            each["kind"],
            str(each["count"]),
            percent(each["whole"]["share"]),
            span(each["whole"]["interval"]),
            percent(each["right"]["share"]),
            percent(each["media"]["share"]),
            percent(_share(each) - plain[each["line"]] if each["line"] in plain else None),
        ]
        for each in kinds
    ]
    head = ["task", "kind", "n", "all right %", "95 %", "right %", "media %", "to plain words"]
    tables = [markdown_table(head, rows)]
    names = list(dict.fromkeys(name for each in kinds for name in each["measures"]))
    if names:
        tables.append(
            markdown_table(
                ["task", "kind", *names],
                [
                    [each["line"], each["kind"], *(_number(each["measures"].get(n)) for n in names)]
                    for each in kinds
                    if each["measures"]
                ],
            )
        )
    if goals:
        tables.append(goal_table(goals))
    return "\n\n".join(tables)


def goal_table(goals: Sequence[GoalFigure]) -> str:
    """The figures beside what they are to reach, as a Markdown table."""
    rows = [
        [
            each["name"],
            str(each["count"]),
            percent(each["value"]),
            span(each["interval"]),
            percent(each["goal"]),
        ]
        for each in goals
    ]
    return markdown_table(["figure", "n", "%", "95 %", "at least"], rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
