"""Scores and their statistics, as numbers and as Markdown.

A record is what `matrix.hold` writes of one conversation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from anymodal.io.results import markdown_table

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
    # Rounding must not put an end of the interval on the wrong side of the share.
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))


def proportion(marks: Sequence[bool], count: int | None = None) -> dict[str, Any]:
    """The share of marks that are right, and its interval.

    Args:
        marks: right or wrong.
        count: samples that they come from, where several marks of one stand or fall together.
    """
    share = sum(marks) / len(marks) if marks else None
    count = len(marks) if count is None else count
    return {"share": share, "interval": None if share is None else wilson(share, count)}


def attributes(scores: Sequence[Mapping[str, bool]]) -> dict[str, Any]:
    """The share of attributes that are right, in all and each, over the scores of several media.

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


def summary(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of every line and split, of every split, and of all conversations together.

    Figures: `share` of attributes right with its 95 % interval, also `by_attribute`; `chance`, the
    share that blind guessing gets; `input`, the same for what only given media tell; `media`, the
    replies with exactly the media asked for, in order; how many conversations.
    """
    groups: dict[tuple[str, bool], list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["line"], record["unseen"]), []).append(record)
    lines = [
        {"line": line, "unseen": unseen, **figures(group)}
        for (line, unseen), group in groups.items()
    ]
    splits = [
        {"unseen": unseen, **figures([r for r in records if r["unseen"] == unseen])}
        for unseen in dict.fromkeys(unseen for _, unseen in groups)
    ]
    return {"results": lines, "splits": splits, "total": figures(records)}


def figures(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of some conversations; see `summary`."""
    turns = [turn for record in records for turn in record["turns"]]
    guesses = [c for turn in turns for told in turn["chance"] for c in told.values()]
    perceived = [
        {name: mark for name, mark in marks.items() if name in record["from_input"]}
        for record in records
        for marks in record["turns"][-1]["right"]
    ]
    return {
        "count": len(records),
        **attributes([marks for turn in turns for marks in turn["right"]]),
        "chance": sum(guesses) / len(guesses) if guesses else None,
        "input": attributes(perceived),
        "media": proportion([t["media"]["asked"] == t["media"]["given"] for t in turns]),
    }


def table(results: Mapping[str, Any]) -> str:
    """The results of a matrix as two Markdown tables: the figures, and each attribute's.

    Seen and held-out scenes stand side by side; media are of both together.
    """
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for found in results["results"]:
        lines.setdefault(label(found["line"]), []).append(found)
    lines["all of these"] = results["splits"]
    head = ["conversation", "n"]
    for split in results["splits"]:
        head += [f"{'held out' if split['unseen'] else 'seen'} %", "95 %", "told by input %"]
    rows = []
    for name, splits in lines.items():
        row = [name, str(sum(found["count"] for found in splits))]
        for found in splits:
            shares = found["share"], found["input"]["share"]
            row += [percent(shares[0]), span(found["interval"]), percent(shares[1])]
        counts = [found["count"] for found in splits]
        chance = _mean([found["chance"] for found in splits], counts)
        media = _mean([found["media"]["share"] for found in splits], counts)
        rows.append([*row, percent(chance), percent(media)])
    figures_of_lines = markdown_table([*head, "chance %", "media %"], rows)
    named = [(split_label(found), found) for found in results["results"]]
    return f"{figures_of_lines}\n\n{attribute_table('conversation', named)}"


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    return sum(v * w for v, w in pairs) / sum(w for _, w in pairs) if pairs else None


def attribute_table(first: str, lines: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """A row for each labelled result, with its share of right attributes, in all and each."""
    names = list(dict.fromkeys(name for _, found in lines for name in found["by_attribute"]))
    rows = [
        [
            label,
            percent(found["share"]),
            span(found["interval"]),
            *(percent(found["by_attribute"].get(name)) for name in names),
        ]
        for label, found in lines
    ]
    return markdown_table([first, "right %", "95 %", *names], rows)


def metric_table(results: Mapping[str, Any]) -> str:
    """The figures of an evaluation on one's own samples as a Markdown table, and what failed."""
    rows = []
    for name, found in results["metrics"].items():
        figures = {key: found[key] for key in found if key not in ("count", "missing")}
        for key, value in (figures or {"–": None}).items():
            shown = "–" if value is None else f"{value:.4g}"
            counts = [str(found["count"]), str(found.get("missing", 0))]
            rows.append([f"{name}: {key}" if key != name else name, shown, *counts])
    lines = [
        f"- {each['id']}{': ' + each['metric'] if 'metric' in each else ''}: {each['error']}"
        for each in results["failed"]
    ]
    failed = [f"{len(lines)} failed:", "\n".join(lines)] if lines else []
    return "\n\n".join([markdown_table(["metric", "value", "n", "missing"], rows), *failed])


def percent(share: float | None) -> str:
    """A share as text: 93.8, or a dash where there is none."""
    return "–" if share is None else f"{100 * share:.1f}"


def span(interval: Sequence[float] | None) -> str:
    """An interval as text, in whole per cent."""
    return "–" if interval is None else "–".join(f"{100 * end:.0f}" for end in interval)


def label(line: str) -> str:
    """The name of a line, for people."""
    # A bare > would begin a quotation in no table cell, but an arrow reads better.
    return line.replace(">", " → ")


def split_label(found: Mapping[str, Any]) -> str:
    """The name of a line's result in one split."""
    return label(str(found["line"])) + (" (held out)" if found["unseen"] else "")
