"""The numbers in a table's rows: decimal points or commas, dates as times, each value checked."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from anymodal.config.printable import printable
from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import Blob

_LARGEST = 1e30  # in any unit of readings, it still fits float32


@dataclass(frozen=True)
class TableRows:
    """The numbers of a table (n, columns asked for), the line of each row, and the end rows."""

    values: NDArray[np.float64]
    lines: NDArray[np.unsignedinteger]
    ends: tuple[list[str], list[str]]


def to_number(cell: str) -> float | None:
    """The number in a cell, with a decimal point or comma; None if it is no plain number."""
    try:
        return None if "_" in cell or not cell.isascii() else float(cell.replace(",", ".", 1))
    except ValueError:
        return None


def to_date(cell: str) -> datetime | None:
    """The time in a cell that holds date and time as ISO 8601 writes them, else None."""
    try:
        return datetime.fromisoformat(cell.strip()) if len(cell) > 10 else None
    except ValueError:
        return None


def read_rows_of_numbers(
    blob: Blob,
    limits: Limits,
    names: Sequence[str],
    columns: Sequence[int],
    rows: Iterable[tuple[int, list[str]]],
    *,
    has_dates: bool,
) -> TableRows:
    """The numbers in some columns of all rows; with `has_dates`, the first is seconds of its dates.

    Raises:
        ValueError: naming line and value, if a row has too few or too many cells, a value is no
            finite number, or decimal commas and points are mixed; if there are too many rows.
    """
    # Arrays of machine numbers: lists of Python's take four times as much.
    values, lines = array("d"), array("L")
    first, row = list[str](), list[str]()
    origin: datetime | None = None
    marks: set[str] = set()
    for number, row in rows:
        where = f"{blob.name}, line {number}"
        first = first or row
        if len(row) != len(names):
            raise MediaError(f"{where}: {cells_text(row, names)}")
        cells = [row[column] for column in columns]
        seconds = []
        if has_dates:
            date = to_date(cells.pop(0))
            origin = origin or date
            seconds = _since(date, origin)
        text = "".join(cells)
        # Seldom new: a table of a million rows has one mark, seen in its first.
        if not marks.issuperset(mark for mark in ".," if mark in text):
            _add_marks(marks, cells, where)
        # Python's float() takes digits of other scripts, and 1_000.
        plain = text.isascii() and "_" not in text
        try:
            numbers = [*seconds, *map(float, cells if "," not in marks else map(_point, cells))]
        except ValueError:
            numbers = []
        if not plain or len(numbers) != len(columns) or not all(map(math.isfinite, numbers)):
            bad = _first_bad(row, columns, names, has_dates, origin)
            raise MediaError(
                f"{where}: {bad} is no finite number; fix, fill or cut such rows"
                + (", or give load(..., sample_rate=200) without a column of times" * has_dates)
            )
        if not -_LARGEST < min(numbers) <= max(numbers) < _LARGEST:
            raise MediaError(
                f"{where}: {max(numbers, key=abs):g} is no reading of a sensor; fix or cut the row"
            )
        values.extend(numbers)
        lines.append(number)
        # After each row, so that a table of endless rows ends here and not in a full memory.
        limits.check_decoded(blob.name, 8 * len(values), f"rows of {len(columns)} numbers")
    return TableRows(
        np.frombuffer(values, np.float64).reshape(-1, len(columns)),
        np.frombuffer(lines, np.dtype("L")),
        (first, row),
    )


def _add_marks(marks: set[str], cells: Sequence[str], where: str) -> None:
    """Take in a row's decimal marks, of which a table has one kind."""
    text = "".join(cells)
    marks.update(mark for mark in ".," if mark in text)
    if len(marks) == 2:
        raise MediaError(
            f"{where}: a decimal {'comma' if ',' in text else 'point'} in a table of the other "
            f"({printable(' '.join(cells))}); write all numbers in one way, without separators of "
            "thousands"
        )


def _point(cell: str) -> str:
    return cell.replace(",", ".", 1)


def _since(date: datetime | None, origin: datetime | None) -> list[float]:
    """Seconds between two dates in a list; none where there is no date, or one has no zone."""
    try:
        return [] if date is None or origin is None else [(date - origin).total_seconds()]
    except TypeError:
        return []


def cells_text(row: Sequence[str], names: Sequence[str]) -> str:
    """The fault of a row of too few or too many cells."""
    if len(row) > len(names):
        return (
            f"{len(row)} cells under {len(names)} names; a table with decimal commas needs ; or a "
            "tab between its columns, else the row is damaged"
        )
    return (
        f"{len(row)} of {len(names)} columns; the row is damaged or the file cut short: cut the "
        "row, or save the table again"
    )


def _first_bad(
    row: Sequence[str],
    columns: Sequence[int],
    names: Sequence[str],
    has_dates: bool,
    origin: datetime | None,
) -> str:
    for place, column in enumerate(columns):
        if has_dates and place == 0:
            good = bool(_since(to_date(row[column]), origin))
        else:
            value = to_number(row[column])
            good = value is not None and math.isfinite(value)
        if not good:
            return f"{printable(names[column])}={printable(row[column])!r}"
    raise AssertionError("a row was refused without a bad value")
