"""The figures of a matrix, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from anymodal.io.results import markdown_table
from anymodal.toybox.kind_report import (
    GoalFigure,
    KindFigures,
    figures_by_kind,
    goal_figures,
    kind_tables,
)
from anymodal.toybox.records import DialogueRecord
from anymodal.toybox.shares import (
    AttributeShares,
    Share,
    attributes,
    percent,
    proportion,
    span,
)


class Figures(AttributeShares):
    """The figures of some conversations.

    Attributes:
        count: how many conversations.
        chance: the chance level of the expected attributes.
        input: the shares of attributes that only the user's media show.
        media: the share of replies with exactly the media asked for, in order.
    """

    count: int
    chance: float | None
    input: AttributeShares
    media: Share


class SplitFigures(Figures):
    """The figures of all scenes seen in training, or of all that were held out."""

    unseen: bool


class TaskFigures(SplitFigures):
    """The figures of one task in one split; its name is the key `line`."""

    line: str


class Summary(TypedDict):
    """The figures of every task and split, of every split, and of all conversations together.

    Attributes:
        kinds: figures by kind of request, of the tasks that have several.
        goals: figures beside what nano is to reach.
    """

    results: list[TaskFigures]
    splits: list[SplitFigures]
    total: Figures
    kinds: list[KindFigures]
    goals: list[GoalFigure]


class MatrixResults(Summary):
    """The figures of a matrix, with the model's name and its plan."""

    model: str
    lines: Sequence[str]
    count: int
    seed: int
    batch_size: int
    varied: bool


def summarize(records: Sequence[DialogueRecord]) -> Summary:
    """Sum the records of a matrix up."""
    groups: dict[tuple[str, bool], list[DialogueRecord]] = {}
    for record in records:
        groups.setdefault((record["line"], record["unseen"]), []).append(record)
    # By task in the plan's order, and of each the seen scenes first.
    order = list(dict.fromkeys(task for task, _ in groups))
    groups = dict(sorted(groups.items(), key=lambda each: (order.index(each[0][0]), each[0][1])))
    tasks: list[TaskFigures] = [
        {"line": task, "unseen": unseen, **figures(group)}
        for (task, unseen), group in groups.items()
    ]
    splits: list[SplitFigures] = [
        {"unseen": unseen, **figures([r for r in records if r["unseen"] == unseen])}
        for unseen in sorted({unseen for _, unseen in groups})
    ]
    return {
        "results": tasks,
        "splits": splits,
        "total": figures(records),
        "kinds": figures_by_kind(records),
        "goals": goal_figures(records),
    }


def figures(records: Sequence[DialogueRecord]) -> Figures:
    """The figures of some conversations."""
    turns = [turn for record in records for turn in record["turns"]]
    chances = [c for turn in turns for levels in turn["chance"] for c in levels.values()]
    marks_from_input = [
        {name: mark for name, mark in marks.items() if name in record["from_input"]}
        for record in records
        for marks in record["turns"][-1]["right"]
    ]
    return {
        "count": len(records),
        **attributes([marks for turn in turns for marks in turn["right"]]),
        "chance": sum(chances) / len(chances) if chances else None,
        "input": attributes(marks_from_input),
        "media": proportion([t["media"]["asked"] == t["media"]["given"] for t in turns]),
    }


def matrix_table(results: Summary) -> str:
    """The results of a matrix as Markdown tables: the figures, and each attribute's.

    Seen and held-out scenes stand side by side; chance and media are of both together.
    Tasks with several kinds of request have tables by kind, and of what nano is to reach.
    """
    tasks: dict[str, Sequence[SplitFigures]] = {}
    for result in results["results"]:
        tasks[label(result["line"])] = [*tasks.get(label(result["line"]), ()), result]
    tasks["all of these"] = results["splits"]
    head = ["conversation", "n"]
    for split in results["splits"]:
        head += [f"{'held out' if split['unseen'] else 'seen'} %", "95 %", "told by input %"]
    order = [split["unseen"] for split in results["splits"]]
    rows = [_row(name, splits, order) for name, splits in tasks.items()]
    labels = [(split_label(result), result) for result in results["results"]]
    by_task = markdown_table([*head, "chance %", "media %"], rows)
    tables = [by_task, attribute_table("conversation", labels)]
    if results["kinds"]:
        tables.append(kind_tables(results["kinds"], results["goals"]))
    return "\n\n".join(tables)


def _row(name: str, splits: Sequence[SplitFigures], order: Sequence[bool]) -> list[str]:
    """A task's cells; dashes for a split in which it has no conversation."""
    row = [name, str(sum(split["count"] for split in splits))]
    by_split = {split["unseen"]: split for split in splits}
    for unseen in order:
        split = by_split.get(unseen)
        if split is None:
            row += ["–"] * 3
        else:
            row += [percent(split["share"]), span(split["interval"])]
            row.append(percent(split["input"]["share"]))
    counts = [split["count"] for split in splits]
    chance = _mean([split["chance"] for split in splits], counts)
    media = _mean([split["media"]["share"] for split in splits], counts)
    return [*row, percent(chance), percent(media)]


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    return sum(v * w for v, w in pairs) / sum(w for _, w in pairs) if pairs else None


def attribute_table(first: str, lines: Sequence[tuple[str, AttributeShares]]) -> str:
    """A row for each labelled result, with its share of right attributes, in all and each.

    Args:
        first: the name of the labels' column.
        lines: labels and results.
    """
    names = list(dict.fromkeys(name for _, result in lines for name in result["by_attribute"]))
    rows = [
        [
            label,
            percent(result["share"]),
            span(result["interval"]),
            *(percent(result["by_attribute"].get(name)) for name in names),
        ]
        for label, result in lines
    ]
    return markdown_table([first, "right %", "95 %", *names], rows)


def label(task: str) -> str:
    """The name of a task, for people."""
    # A bare > would begin a quotation in no table cell, but an arrow reads better.
    return task.replace(">", " → ")


def split_label(result: TaskFigures) -> str:
    """The name of a result in one split."""
    return label(result["line"]) + (" (held out)" if result["unseen"] else "")
