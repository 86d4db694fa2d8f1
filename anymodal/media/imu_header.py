"""The header of an IMU's table: found among comments and other lines, in any dialect of CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from anymodal.config.printable import printable
from anymodal.media.imu_columns import AXES, Columns, find_columns
from anymodal.media.imu_rows import to_date, to_number
from anymodal.media.limits import MediaError
from anymodal.media.source import Blob
from anymodal.media.text import MAX_LINE, describe_text, lines

EXAMPLE = "t,ax,ay,az,gx,gy,gz"
_COMMENTS = ("#", "%", "//")
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # the first line of a file for Excel
_WHITESPACE = " "  # any run of it
_RATES = frozenset({"rate", "fs", "sampling_rate", "sample_rate", "sample_rate_hz"})
# What a search for a header may look at: a file of anything else is told from a table at once.
_MAX_PREAMBLE, _MAX_COMMENTS, _MAX_SEARCHED = 200, 10_000, 64_000  # lines, lines, characters


class NoTable(MediaError):
    """A text without a header that names an IMU's columns."""


@dataclass(frozen=True)
class TableHeader:
    """Places of columns, and the line behind which rows begin."""

    names: tuple[str, ...]
    columns: Columns
    delimiter: str
    notes: dict[str, str]
    line: int


def find_header(blob: Blob) -> TableHeader:
    """The first line that names all six axes, and has a row below it.

    In a comment it counts where the first line of no comment is a row of as many cells.

    Raises:
        ValueError: `NoTable` if there is none; if it has two columns for one axis.
    """
    notes: dict[str, str] = {}
    header: TableHeader | None = None  # to be confirmed by the line below
    first: Sequence[str] = ()
    absent: Sequence[str] = AXES
    num_chars = 0
    for number, text, separator in _preamble(blob):
        comment = text.startswith(_COMMENTS)
        if comment:
            notes |= _notes(text)
        elif header and _is_row(_split(text, header.delimiter), header):
            return header
        names = [text]
        if len(text) + num_chars <= _MAX_SEARCHED:
            num_chars += len(text)
            names, delimiter, columns = _read_names(text.lstrip("#%/ \t"), separator, blob.name)
            if isinstance(columns, Columns):
                header = TableHeader(tuple(names), columns, delimiter, notes, number)
            elif not first and not comment:
                absent = columns
        if not comment:
            header = header if header and (header.line == number or not first) else None
            first = first or names
    if header:
        return header
    raise NoTable(_explain(blob, first, absent))


def _is_row(cells: Sequence[str], header: TableHeader) -> bool:
    """Return True for a row of the header's table: as many cells, or a number among them."""
    if isinstance(find_columns(cells, ""), Columns):
        return False  # the header that a comment before it repeats
    if len(cells) == len(header.names) and header.delimiter != _WHITESPACE:
        return True
    return any(to_number(cell) is not None or to_date(cell) is not None for cell in cells)


def _explain(blob: Blob, first: Sequence[str], absent: Sequence[str]) -> str:
    there = printable(", ".join(first)[:200]) or "nothing"
    reason = (
        f"no column for {', '.join(absent)} (its first row holds {there}); "
        f"name the columns in a header, as in {EXAMPLE}"
    )
    if tuple(absent) in (AXES[:3], AXES[3:]):
        return f"{blob.name} has {reason}; join the files of two sensors into one table"
    return f"{blob.name} is {describe_text(blob.data)}, no table of an IMU: it has {reason}"


def _preamble(blob: Blob) -> Iterator[tuple[int, str, str | None]]:
    """The lines in which a header may be, with the delimiter that a line `sep=;` sets."""
    separator = None
    others = 0
    for number, line in lines(blob.data):
        text = line.strip().lstrip("\ufeff")
        if others == 0 and (match := _SEPARATOR.fullmatch(line.strip(" \r\n"))):
            separator = match[1]
        elif text:
            yield number, text, separator
            others += not text.startswith(_COMMENTS)
        if others >= _MAX_PREAMBLE or number >= _MAX_COMMENTS:
            return


def read_rows(blob: Blob, header: TableHeader) -> Iterator[tuple[int, list[str]]]:
    """The rows behind a header with their line numbers, without comments and empty ones.

    Raises:
        ValueError: if a line is too long for a row, or a quotation mark stays open.
    """
    number = 0

    def behind() -> Iterator[str]:
        nonlocal number
        for number, line in lines(blob.data):
            if number <= header.line or line.lstrip().startswith(_COMMENTS):
                continue
            if len(line) > MAX_LINE:
                raise MediaError(
                    f"{blob.name}, line {number}: over {MAX_LINE:,} characters, too long for a "
                    "row of readings; end each row by a line break"
                )
            yield line

    if header.delimiter == _WHITESPACE:
        rows: Iterator[list[str]] = (line.split() for line in behind())
    else:
        rows = csv.reader(behind(), delimiter=header.delimiter, skipinitialspace=True)
    width = len(header.names)
    try:
        for row in rows:
            while len(row) > width and not row[-1].strip():
                row.pop()  # a separator behind the last cell
            if any(row) and any(cell.strip() for cell in row):
                yield number, row
    except csv.Error:
        raise MediaError(
            f"{blob.name}, line {number}: a cell has no end; close its quotation mark"
        ) from None


def _read_names(
    text: str, separator: str | None, where: str
) -> tuple[list[str], str, Columns | tuple[str, ...]]:
    """A line's cells by the delimiter that makes the most of the axes out of it, and those."""
    likely = sorted(",;\t|", key=text.count, reverse=True)
    delimiters = separator if separator else [*(d for d in likely if d in text), _WHITESPACE]
    best: tuple[list[str], str, Columns | tuple[str, ...]] = [text], ",", AXES
    fewest: tuple[str, ...] | None = None
    for delimiter in delimiters:
        names = _split(text, delimiter)
        columns = find_columns(names, where)
        if isinstance(columns, Columns):
            return names, delimiter, columns
        if fewest is None or len(columns) < len(fewest):
            best, fewest = (names, delimiter, columns), columns
    return best


def _split(text: str, delimiter: str) -> list[str]:
    """A line's cells, without empty ones at its end."""
    if delimiter == _WHITESPACE:
        return text.split()
    try:
        cells = next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return [text]
    while cells and not cells[-1].strip():
        cells.pop()
    return [cell.strip() for cell in cells]


def _notes(comment: str) -> dict[str, str]:
    """The rate and units that a comment states, as in `# fs: 50 Hz, units: g, deg/s`.

    Cut at every mark, so that the time stays in proportion to the length: an expression for
    `key=value` up to the next key would look at a long comment again from each of its letters.
    """
    notes = {}
    pieces = re.split("[=:]", comment[:MAX_LINE])
    for before, value in pairwise(pieces):
        key = _last_word(before).lower()
        key = "sample_rate" if key in _RATES else key
        if key in ("sample_rate", "units"):
            last = value is pieces[-1]
            text = value if last else value.removesuffix(_last_word(value))
            notes[key] = text.strip().rstrip(" \t,;")[:200]
    return notes


def _last_word(text: str) -> str:
    """The letters, digits and underscores at the end of a text, before any spaces."""
    words = re.split(r"\W", text.rstrip()[-100:])
    return words[-1]
