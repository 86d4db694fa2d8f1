"""The figures of a matrix, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from anymodal.io.results import markdown_table
from anymodal.toybox.records import DialogueRecord
from anymodal.toybox.shares import AttributeShares, Share, attributes, proportion


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
    """The figures of every task and split, of every split, and of all conversations together."""

    results: list[TaskFigures]
    splits: list[SplitFigures]
    total: Figures


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
    tasks: list[TaskFigures] = [
        {"line": task, "unseen": unseen, **figures(group)}
        for (task, unseen), group in groups.items()
    ]
    splits: list[SplitFigures] = [
        {"unseen": unseen, **figures([r for r in records if r["unseen"] == unseen])}
        for unseen in dict.fromkeys(unseen for _, unseen in groups)
    ]
    return {"results": tasks, "splits": splits, "total": figures(records)}


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
    """The results of a matrix as two Markdown tables: the figures, and each attribute's.

    Seen and held-out scenes stand side by side; chance and media are of both together.
    """
    tasks: dict[str, Sequence[SplitFigures]] = {}
    for result in results["results"]:
        tasks[label(result["line"])] = [*tasks.get(label(result["line"]), ()), result]
    tasks["all of these"] = results["splits"]
    head = ["conversation", "n"]
    for split in results["splits"]:
        head += [f"{'held out' if split['unseen'] else 'seen'} %", "95 %", "told by input %"]
    rows = [_row(name, splits) for name, splits in tasks.items()]
    labels = [(split_label(result), result) for result in results["results"]]
    by_task = markdown_table([*head, "chance %", "media %"], rows)
    return f"{by_task}\n\n{attribute_table('conversation', labels)}"


def _row(name: str, splits: Sequence[SplitFigures]) -> list[str]:
    row = [name, str(sum(split["count"] for split in splits))]
    for split in splits:
        row += [percent(split["share"]), span(split["interval"]), percent(split["input"]["share"])]
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


def percent(share: float | None) -> str:
    """A share as text: 93.8, or a dash where there is none."""
    return "–" if share is None else f"{100 * share:.1f}"


def span(interval: Sequence[float] | None) -> str:
    """An interval as text, in whole per cent."""
    return "–" if interval is None else "–".join(f"{100 * end:.0f}" for end in interval)


def label(task: str) -> str:
    """The name of a task, for people."""
    # A bare > would begin a quotation in no table cell, but an arrow reads better.
    return task.replace(">", " → ")


def split_label(result: TaskFigures) -> str:
    """The name of a result in one split."""
    return label(result["line"]) + (" (held out)" if result["unseen"] else "")
