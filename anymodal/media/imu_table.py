"""Tables of an inertial measurement unit: columns by name, the rate from time, SI units."""

from __future__ import annotations

import re
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from anymodal.config import suggest
from anymodal.config.printable import printable
from anymodal.media.imu_columns import Clock, Column
from anymodal.media.imu_header import TableHeader, find_header, read_rows
from anymodal.media.imu_rows import (
    TableRows,
    cells_text,
    read_rows_of_numbers,
    to_date,
    to_number,
)
from anymodal.media.imu_time import MAX_RATE, MIN_RATE, Times, even_out, to_samples
from anymodal.media.imu_units import ACCELERATION, ROTATION, TIME, factor, find_factor, parse_units
from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import Blob


def read_table(
    blob: Blob, limits: Limits, sample_rate: float | None, units: str | None
) -> tuple[NDArray[np.float32], float]:
    """The samples (6, n) of a table in m/s² and rad/s at a constant rate, and that rate in Hz.

    Raises:
        ValueError: if columns, rate or units are missing or wrong, a value is no finite number,
            a row is cut short, or time runs back, stands still or jumps.
    """
    header = find_header(blob)
    if sample_rate is None:
        sample_rate = _noted_rate(blob, header)
    rows = read_rows(blob, header)
    first = next(rows, None)
    below = _units_below(header, first[1]) if first else {}
    if below:
        first = next(rows, None)
    if first is None:
        raise MediaError(f"{blob.name} has a header, but no rows below it; record it again")
    clock, has_dates = _choose_clock(header, first[1], sample_rate)
    scales, unit = _scales(header, below, units or header.notes.get("units"))
    columns = [column.index for column in (*(clock.columns if clock else ()), *header.columns.axes)]
    table = read_rows_of_numbers(
        blob, limits, header.names, columns, chain([first], rows), has_dates=has_dates
    )
    values = table.values[:, -6:]
    if clock is None or len(values) < 2:
        return to_samples(values, scales), _expect_rate(blob, clock, sample_rate)
    if not has_dates:
        unit = clock.unit or below.get(clock.columns[0].index) or unit
    times = Times(
        blob.name,
        printable(clock.columns[0].name),
        _times(table.values[:, :-6]),
        table.lines,
        "s" if has_dates else unit,
    )
    _check_other_clocks(blob, header, clock, times, table)
    return even_out(times, values, scales, sample_rate, limits)


def read_texts(blob: Blob, name: str) -> list[str]:
    """The texts in a column of a table, one a row of readings.

    Raises:
        ValueError: if there is no such column, or a row is cut short.
    """
    header = find_header(blob)
    if name not in header.names:
        raise MediaError(f"{blob.name} has no column {name!r}{suggest(name, header.names)}")
    place = header.names.index(name)
    texts = list[str]()
    for number, row in read_rows(blob, header):
        if not texts and _units_below(header, row):
            continue
        if len(row) != len(header.names):
            raise MediaError(f"{blob.name}, line {number}: {cells_text(row, header.names)}")
        texts.append(row[place].strip())
    return texts


def _noted_rate(blob: Blob, header: TableHeader) -> float | None:
    """The rate that a comment states, in Hz."""
    text = header.notes.get("sample_rate")
    if text is None:
        return None
    value = to_number(text.lower().removesuffix("hz").strip())
    if value is None or not MIN_RATE <= value <= MAX_RATE:
        raise MediaError(
            f"{blob.name}: sample_rate={printable(text)!r} in a comment is out of range; give "
            f"{MIN_RATE:g} to {MAX_RATE:g} Hz"
        )
    return value


def _expect_rate(blob: Blob, clock: Clock | None, sample_rate: float | None) -> float:
    if sample_rate is not None:
        return sample_rate
    if clock is not None:
        raise MediaError(
            f"{blob.name} has one row, too few for a rate; give load(..., sample_rate=200)"
        )
    raise MediaError(
        f"{blob.name} has no sample rate: add a time column such as t or t_ms, a first line "
        "'# sample_rate=200', or give load(..., sample_rate=200)"
    )


def _units_below(header: TableHeader, row: list[str]) -> dict[int, str]:
    """The units by column in a row that holds nothing else, as some write below their header."""
    if len(row) != len(header.names):
        return {}
    axes = header.columns.axes
    factors = [
        find_factor(row[axis.index], ACCELERATION if place < 3 else ROTATION)
        for place, axis in enumerate(axes)
    ]
    if None in factors:
        return {}
    clocks = [column for clock in header.columns.clocks for column in clock.columns]
    time_columns = [column for column in clocks if find_factor(row[column.index], TIME) is not None]
    return {column.index: row[column.index].strip() for column in (*axes, *time_columns)}


def _choose_clock(
    header: TableHeader, row: list[str], sample_rate: float | None
) -> tuple[Clock | None, bool]:
    """The best clock that holds numbers in the first row, or else dates, and whether it does."""
    clocks = header.columns.clocks
    if len(row) == len(header.names):
        for clock in clocks:
            numbers = all(to_number(row[column.index]) is not None for column in clock.columns)
            if numbers and (clock.plain or sample_rate is None):
                return clock, False
        for clock in clocks:
            if to_date(row[clock.columns[0].index]) is not None:
                return clock, True
        if sample_rate is not None:
            return None, False  # no times, or in a form of their own: the stated rate is enough
    return (clocks[0] if clocks else None), False


def _scales(
    header: TableHeader, below: dict[int, str], units: str | None
) -> tuple[list[float], str | None]:
    """Factors to SI by each column's own unit, else by the stated ones, else 1; and of time."""
    acceleration, rotation, unit = parse_units(units) if units else (1.0, 1.0, None)

    def scale(column: Column, factors: dict[str, float], default: float) -> float:
        own = column.unit or below.get(column.index)
        if own is None and not units and re.search("user[_ .]?acc", column.name, re.IGNORECASE):
            raise MediaError(
                f"the column {printable(column.name)!r} has no unit, and Apple's devices tell it "
                "in g, others in m/s²; give load(..., units='g, rad/s'), or a first line "
                "'# units: g, rad/s'"
            )
        return default if own is None else factor(own, factors)

    axes = header.columns.axes
    return [
        *(scale(column, ACCELERATION, acceleration) for column in axes[:3]),
        *(scale(column, ROTATION, rotation) for column in axes[3:]),
    ], unit


def _times(clock: NDArray[np.float64]) -> NDArray[np.float64]:
    """A clock of one column as it is; whole seconds and nanoseconds (n, 2) from the first second.

    Each is exact in float64; a sum of Unix seconds and their fraction would not be.
    """
    if clock.shape[1] == 1:
        return clock[:, 0]
    return np.asarray(clock[:, 0] - clock[0, 0] + clock[:, 1] * 1e-9)


def _check_other_clocks(
    blob: Blob, header: TableHeader, clock: Clock, times: Times, table: TableRows
) -> None:
    """Refuse a table in which a clock with a unit disagrees with the one that is used."""
    if times.unit is None or find_factor(times.unit, TIME) is None:
        return
    span = (times.clock[-1] - times.clock[0]) * factor(times.unit, TIME)
    for other in header.columns.clocks:
        if other is clock or len(other.columns) > 1 or not other.plain:
            continue
        (column,) = other.columns
        ends = [to_number(row[column.index]) for row in table.ends]
        if ends[0] is None or ends[1] is None or column.unit is None:
            continue
        other_span = (ends[1] - ends[0]) * factor(column.unit, TIME)
        if abs(other_span - span) > 0.05 * max(other_span, span) + 3 * abs(span) / len(times.clock):
            raise MediaError(
                f"{blob.name}: its times in {times.column!r} last {span:g} s, those in "
                f"{printable(column.name)!r} {other_span:g} s; correct the units, or keep one of "
                "them"
            )
