"""The conversations of a matrix as HTML pages: requests, replies, and what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from anymodal import media
from anymodal.chat.html_report import Check, message_html, write_html_report
from anymodal.media import Media
from anymodal.toybox.matrix_report import MatrixResults, split_label
from anymodal.toybox.records import DialogueRecord, MediaPart, TurnRecord
from anymodal.toybox.shares import percent
from anymodal.types import Message, Target

PER_PAGE = 20
"""Conversations on a page, which holds all of their media as data."""


def write_gallery(folder: Path, results: MatrixResults, records: Sequence[DialogueRecord]) -> Path:
    """Write pages for every task of a matrix, and an index of them.

    Args:
        folder: where the records' media are, and where the pages go, in `gallery`.
        results: of `matrix.evaluate_matrix`.
        records: the conversations.

    Returns:
        The index.
    """
    pages = folder / "gallery"
    pages.mkdir(exist_ok=True)
    links = []
    for place, task in enumerate(results["results"]):
        name, key = split_label(task), (task["line"], task["unseen"])
        group = [r for r in records if (r["line"], r["unseen"]) == key]
        starts = range(0, len(group), PER_PAGE)
        files = [f"{place:02d}-{number}.html" for number in range(1, len(starts) + 1)]
        for number, start in enumerate(starts):
            page_records = group[start : start + PER_PAGE]
            body = [
                _links(files, number),
                *_conversations(folder, page_records),
                _links(files, number),
            ]
            lead = f"{start + 1} to {start + len(page_records)}"
            write_html_report(pages / files[number], name, lead, body)
        links.append(
            f'<p><a href="{files[0]}">{escape(name)}</a>: {task["count"]} conversations, '
            f"{percent(task['share'])} % of attributes right</p>"
        )
    lead = f"model {results['model']}, seed {results['seed']}"
    return write_html_report(pages / "index.html", "Any to any", lead, links)


def _links(files: Sequence[str], current: int) -> str:
    """Links to the pages of a task, and to the index."""
    numbers = [
        f"<b>{number + 1}</b>" if number == current else f'<a href="{file}">{number + 1}</a>'
        for number, file in enumerate(files)
    ]
    return f'<p><a href="index.html">all</a> · {" ".join(numbers)}</p>'


def _conversations(folder: Path, records: Sequence[DialogueRecord]) -> Iterator[str]:
    for record in records:
        yield f"<h2>{escape(record['kind'])}, {record['index']}</h2>"
        for turn in record["turns"]:
            yield message_html(_message(folder, "user", turn["request"]))
            yield message_html(
                _message(folder, "assistant", turn["reply"]), checks=list(_checks(turn))
            )


def _message(folder: Path, role: str, parts: Sequence[str | MediaPart]) -> Message:
    content: list[str | Media | Target] = [
        part if isinstance(part, str) else media.load(folder / part["path"]) for part in parts
    ]
    return Message(role, content)


def _checks(turn: TurnRecord) -> Iterator[Check]:
    """A check of each expected attribute, with the value that was read where it differs."""
    if turn["media"]["asked"] != turn["media"]["given"]:
        expected_kinds = ", ".join(turn["media"]["asked"]) or "none"
        kinds = ", ".join(turn["media"]["given"]) or "none"
        yield Check(f"media: {expected_kinds}, but {kinds} came", False)
    for expected, read, right in zip(turn["wanted"], turn["read"], turn["right"], strict=True):
        for name, value in expected.items():
            instead = "" if right[name] else f", read as {read.get(name) or 'nothing'}"
            yield Check(f"{name} {value}{instead}", right[name])
    for name, figure in turn.get("measures", {}).items():
        yield Check(f"{name} {figure:.3f}", None)
