"""A data set's statistics as tables, and some of its samples as a page with players."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from anymodal.chat.html_report import html_report, media_html
from anymodal.data.row_samples import RowSamples
from anymodal.io.checkpoint import replacing
from anymodal.io.results import markdown_table
from anymodal.media import Media
from anymodal.tools.dataset.statistics import (
    DataStatistics,
    Sample,
    distribution,
    readable,
    rows_to_look_at,
    sample_messages,
)
from anymodal.types import Message, Target

_MOST_FILES = 5


def statistics_text(statistics: DataStatistics) -> str:
    """Statistics as text, with tables in Markdown."""
    return "\n\n".join(_blocks(statistics))


def _blocks(statistics: DataStatistics) -> Iterator[str]:
    names = statistics.files[:_MOST_FILES]
    more = len(statistics.files) - len(names)
    files = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    yield f"{statistics.container}, {statistics.rows:,} rows: {files}"
    if statistics.broken:
        lines = [f"- {name}: {reason}" for name, reason in statistics.broken]
        yield "\n".join([f"{len(lines)} files stand aside:", *lines])
    whole = statistics.looked_at == statistics.rows
    of = "all of them" if whole else f"{statistics.looked_at:,} of them, spread evenly"
    yield f"What follows is of {of}."
    yield _counts("schema", statistics.schemas.most_common())
    yield _counts("column", statistics.columns.most_common())
    if statistics.labels:
        yield _counts("label", statistics.labels.most_common())
    if statistics.media:
        yield _counts("media", statistics.media.most_common())
    if statistics.figures:
        rows = [(name, distribution(values)) for name, values in statistics.figures.items()]
        head = ["each sample's", *rows[0][1]]
        yield markdown_table(head, [[name, *map(_number, row.values())] for name, row in rows])
    if statistics.num_errors:
        lines = [f"- {error}" for error in statistics.errors]
        yield "\n".join([f"{statistics.num_errors:,} rows can't be read:", *lines])


def _counts(name: str, counts: Iterable[tuple[str, int]]) -> str:
    return markdown_table([name, "rows"], [[key, f"{count:,}"] for key, count in counts])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or value >= 1000 else f"{value:,.2f}"


def write_page(
    path: Path, source: RowSamples[Sample], statistics: DataStatistics, samples: int
) -> Path:
    """Write statistics and some samples, with their media inside, as one HTML file."""
    body = [f"<pre>{escape(statistics_text(statistics))}</pre>"]
    for index in rows_to_look_at(len(source), samples):
        body.append(f"<h2>{escape(source.rows.place(index))}</h2>")
        try:
            messages = sample_messages(source[index])
            body += [_message(message) for message in messages]
        except (OSError, ValueError) as error:
            body.append(f'<p class="check wrong">{escape(readable(error))}</p>')
    lead = f"{statistics.container}, {statistics.rows:,} rows"
    with replacing(path) as temporary:
        temporary.write_text(html_report(path.stem, lead, body), "utf-8")
    return path


def _message(message: Message) -> str:
    parts = []
    for part in message.content:
        if isinstance(part, str):
            parts.append(f"<p>{escape(part.strip())}</p>")
        elif isinstance(part, Media):
            parts.append(media_html(part))
        elif not isinstance(part, Target):
            parts.append(f"<p>{escape(str(part))}</p>")
        elif part.media is not None:
            parts.append(media_html(part.media, f"to be made: {part.caption}"))
        else:
            parts.append(f"<p><em>{escape(part.modality)}: {escape(part.caption)}</em></p>")
    learned = "" if message.supervised or message.role != "assistant" else " (not learned)"
    role = escape(message.role, quote=True)
    return (
        f'<div class="turn {role}"><span class="who">{role}{learned}</span>'
        f'<div class="message">{"".join(parts)}</div></div>'
    )
