"""The conversations of a matrix as pages to leaf through: what was given, what came, what is wrong.

A record is what `matrix.hold` writes of one conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from anymodal import media
from anymodal.chat.html_report import Check, message_html, write_html_report
from anymodal.media import Media
from anymodal.toybox.matrix_report import percent, split_label
from anymodal.types import Message, Target

PER_PAGE = 20
"""Conversations on a page, whose media are all inside it."""


def write_gallery(folder: Path, results: Mapping[str, Any], records: Sequence[Any]) -> Path:
    """Write pages for every line of a matrix, and one that leads to them.

    Args:
        folder: where the records' media are, and where the pages go, in `gallery`.
        results: of `matrix.evaluate`.
        records: the conversations.

    Returns:
        The page that leads to the others.
    """
    pages = folder / "gallery"
    pages.mkdir(exist_ok=True)
    links = []
    for place, line in enumerate(results["results"]):
        name = split_label(line)
        group = [r for r in records if (r["line"], r["unseen"]) == (line["line"], line["unseen"])]
        starts = range(0, len(group), PER_PAGE)
        files = [f"{place:02d}-{number}.html" for number in range(1, len(starts) + 1)]
        for number, start in enumerate(starts):
            shown = group[start : start + PER_PAGE]
            body = [_links(files, number), *_talks(folder, shown), _links(files, number)]
            lead = f"{start + 1} to {start + len(shown)}"
            write_html_report(pages / files[number], name, lead, body)
        links.append(
            f'<p><a href="{files[0]}">{escape(name)}</a>: {line["count"]} conversations, '
            f"{percent(line['share'])} % of attributes right</p>"
        )
    lead = f"model {results['model']}, seed {results['seed']}"
    return write_html_report(pages / "index.html", "Any to any", lead, links)


def _links(files: Sequence[str], current: int) -> str:
    """Ways to the pages of a line, and back."""
    numbers = [
        f"<b>{number + 1}</b>" if number == current else f'<a href="{file}">{number + 1}</a>'
        for number, file in enumerate(files)
    ]
    return f'<p><a href="index.html">all</a> · {" ".join(numbers)}</p>'


def _talks(folder: Path, records: Sequence[Any]) -> Iterator[str]:
    for record in records:
        yield f"<h2>{escape(record['kind'])}, {record['index']}</h2>"
        for turn in record["turns"]:
            yield message_html(_message(folder, "user", turn["request"]))
            yield message_html(
                _message(folder, "assistant", turn["reply"]), checks=list(_checks(turn))
            )


def _message(folder: Path, role: str, parts: Sequence[Any]) -> Message:
    content: list[str | Media | Target] = [
        part if isinstance(part, str) else media.load(folder / part["path"]) for part in parts
    ]
    return Message(role, content)


def _checks(turn: Mapping[str, Any]) -> Iterator[Check]:
    """What each attribute of each answer should be, and what it was read as where that differs."""
    found = turn["media"]
    if found["asked"] != found["given"]:
        asked, given = (", ".join(found[which]) or "none" for which in ("asked", "given"))
        yield Check(f"media: {asked}, but {given} came", False)
    for wanted, read, right in zip(turn["wanted"], turn["read"], turn["right"], strict=True):
        for name, value in wanted.items():
            instead = "" if right[name] else f", read as {read.get(name) or 'nothing'}"
            yield Check(f"{name} {value}{instead}", right[name])
