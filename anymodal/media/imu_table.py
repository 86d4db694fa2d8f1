"""CSV files of an inertial measurement unit: columns by name, the rate from time, SI units."""

from __future__ import annotations

import csv
import io
import math
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anymodal.media.base import check_number
from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import Blob, printable

MIN_RATE, MAX_RATE = 0.1, 1_000_000.0
_STANDARD_GRAVITY = 9.80665  # m/s², by definition
_ACCELERATION = {
    "ms2": 1.0, "mss": 1.0, "mps2": 1.0, "mpss": 1.0,
    "g": _STANDARD_GRAVITY, "gs": _STANDARD_GRAVITY, "mg": _STANDARD_GRAVITY / 1000,
}  # fmt: skip
_ROTATION = {
    "rads": 1.0, "radsec": 1.0, "radps": 1.0,
    "degs": math.pi / 180, "degsec": math.pi / 180, "degps": math.pi / 180, "dps": math.pi / 180,
    "mdps": math.pi / 180_000,
}  # fmt: skip
_TIME = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3,
    "us": 1e-6, "usec": 1e-6, "ns": 1e-9, "nsec": 1e-9,
}  # fmt: skip
_UNIT = r"(?:_?[\[(](?P<bracket>.*?)[\])]|_(?P<tail>.+))?$"
_ACC = re.compile(rf"(?:a|acc(?:el(?:eration|erometer)?)?)_?(?P<axis>[xyz]){_UNIT}")
_GYRO = re.compile(rf"(?:g|w|omega|gyro?(?:scope)?|angular_velocity)_?(?P<axis>[xyz]){_UNIT}")
_CLOCK = re.compile(rf"(?:t|ts|time|timestamp|elapsed|seconds_elapsed){_UNIT}")
_NOTE = re.compile(r"(\w+)\s*[=:]\s*(.*?)(?=[\s,;]*\w+\s*[=:]|\s*$)")
_WANTED = ("ax", "ay", "az", "gx", "gy", "gz")
_EXAMPLE = "t,ax,ay,az,gx,gy,gz"


@dataclass
class _Header:
    """Where each axis is, in which unit (None: not said), and what the comments note."""

    names: list[str]
    columns: dict[str, int] = field(default_factory=dict)
    units: dict[str, str | None] = field(default_factory=dict)


def read_table(
    blob: Blob, limits: Limits, sample_rate: float | None, units: str | None
) -> tuple[NDArray[np.float64], float]:
    """The samples (6, n) of a CSV in m/s² and rad/s at a constant rate, and that rate in Hz.

    Raises:
        ValueError: if columns, rate or units are missing or wrong, a value is no finite number,
            a row is cut short, or time stands still or jumps.
    """
    notes, header, rows = _split(blob)
    values = _numbers(blob, limits, header, rows)  # (n, 6), or (n, 7) with time first
    noted = notes.get("sample_rate")
    if sample_rate is None and noted is not None:
        sample_rate = check_number(noted, "sample_rate", MIN_RATE, MAX_RATE, "Hz")
    samples = (values[:, -6:] * _scales(blob, header, units or notes.get("units"))).T
    if "t" in header.columns:
        return _by_time(blob, samples, values[:, 0], header.units["t"], sample_rate)
    if sample_rate is None:
        raise MediaError(
            f"{blob.name} has no sample rate: add a time column such as t or t_ms, a first line "
            "'# sample_rate=200', or give load(..., sample_rate=200)"
        )
    return samples, sample_rate


def parse_units(text: str) -> NDArray[np.float64]:
    """The factors to m/s² and rad/s of units such as `g, deg/s`.

    Raises:
        ValueError: if one of the two is unknown.
    """
    given = [part for part in re.split(r"[,;]", text) if part.strip()]
    if len(given) != 2:
        raise MediaError(
            f"units={printable(text)!r} are not two; give acceleration and rotation: 'g, deg/s'"
        )
    return np.array([_factor(given[0], _ACCELERATION), _factor(given[1], _ROTATION)])


def _factor(unit: str, known: dict[str, float]) -> float:
    plain = unit.lower().replace("²", "2").replace("°", "deg").replace("µ", "u").replace("μ", "u")
    plain = re.sub(r"[\s_/^*·.\-]", "", plain)
    if plain not in known:
        options = {id(_ACCELERATION): "m/s^2, g, mg", id(_ROTATION): "rad/s, deg/s, dps"}
        raise MediaError(
            f"the unit {printable(unit.strip())!r} is not known here; "
            f"use one of {options.get(id(known), 's, ms, us, ns')}"
        )
    return known[plain]


def _split(blob: Blob) -> tuple[dict[str, str], _Header, Iterator[tuple[int, list[str]]]]:
    """Comments before the header as notes, the header, and the rows with their line numbers."""
    text = io.TextIOWrapper(io.BytesIO(blob.data), encoding="utf-8-sig", newline="")
    notes: dict[str, str] = {}
    line, number = "", 0
    for number, line in enumerate(text, 1):  # noqa: B007 (used behind the loop)
        if line.startswith("#"):
            for key, value in _NOTE.findall(line):
                notes[_note(key)] = value.strip()
        elif line.strip():
            break
    delimiter = max(",;\t", key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    reader = csv.reader(text, delimiter=delimiter)
    first = number
    rows = ((first + reader.line_num, row) for row in reader if row and not row[0].startswith("#"))
    return notes, _find_columns(blob, names), rows


def _note(key: str) -> str:
    key = key.lower()
    return "sample_rate" if key in ("rate", "fs", "sampling_rate", "sample_rate_hz") else key


def _find_columns(blob: Blob, names: list[str]) -> _Header:
    header = _Header(names)
    for index, name in enumerate(names):
        plain = re.sub(r"[\s.\-]+", "_", name.lower())
        for pattern, prefix in ((_ACC, "a"), (_GYRO, "g"), (_CLOCK, "t")):
            if match := pattern.fullmatch(plain):
                axis = prefix + (match["axis"] if prefix != "t" else "")
                if axis in header.columns:
                    twice = f"{names[header.columns[axis]]!r} and {name!r}"
                    raise MediaError(f"{blob.name} has two columns for {axis}, {twice}; keep one")
                header.columns[axis] = index
                header.units[axis] = match["bracket"] or match["tail"]
                break
    missing = [axis for axis in _WANTED if axis not in header.columns]
    if missing:
        there = printable(", ".join(names)) or "nothing"
        raise MediaError(
            f"{blob.name} has no column for {', '.join(missing)} (its first row holds {there}); "
            f"name the columns in a header, as in {_EXAMPLE}"
        )
    return header


def _numbers(
    blob: Blob, limits: Limits, header: _Header, rows: Iterator[tuple[int, list[str]]]
) -> NDArray[np.float64]:
    order = [axis for axis in ("t", *_WANTED) if axis in header.columns]
    columns = [header.columns[axis] for axis in order]
    values = array("d")
    for number, row in rows:
        if len(row) != len(header.names):
            raise MediaError(
                f"{blob.name}, line {number}: {len(row)} of {len(header.names)} columns; "
                "the row is damaged or the file cut short"
            )
        try:
            found = [float(row[column]) for column in columns]
        except ValueError:
            found = [math.nan]
        if not all(map(math.isfinite, found)):
            raise MediaError(
                f"{blob.name}, line {number}: {_first_bad(row, columns, header.names)} is no "
                "finite number; fix, fill or cut such rows"
            )
        values.extend(found)
        limits.check_decoded(blob.name, 8 * len(values), f"rows of {len(columns)} numbers")
    if not values:
        raise MediaError(f"{blob.name} has a header, but no rows below it; record it again")
    return np.frombuffer(values, np.float64).reshape(-1, len(columns))


def _first_bad(row: list[str], columns: list[int], names: list[str]) -> str:
    for column in columns:
        try:
            good = math.isfinite(float(row[column]))
        except ValueError:
            good = False
        if not good:
            return f"{names[column]}={printable(row[column])!r}"
    raise AssertionError("a row was refused without a bad value")


def _scales(blob: Blob, header: _Header, units: str | None) -> NDArray[np.float64]:
    """Factors (6,) to SI: by each column's own unit, else by the stated ones, else 1."""
    stated = parse_units(units) if units else np.ones(2)
    scales = np.repeat(stated, 3)
    for index, axis in enumerate(_WANTED):
        unit = header.units[axis]
        if unit is not None:
            scales[index] = _factor(unit, _ACCELERATION if index < 3 else _ROTATION)
    return scales


def _by_time(
    blob: Blob,
    samples: NDArray[np.float64],
    clock: NDArray[np.float64],
    unit: str | None,
    stated: float | None,
) -> tuple[NDArray[np.float64], float]:
    """Samples on an even grid, interpolated linearly where their times are off it by > 1 %."""
    times = (clock - clock[0]) * _factor(unit or "s", _TIME)
    if len(times) < 2:
        if stated is None:
            raise MediaError(
                f"{blob.name} has one row, too few for a rate; give load(..., sample_rate=200)"
            )
        return samples, stated
    steps = np.diff(times)
    if steps.min() <= 0:
        row = int(np.argmax(steps <= 0)) + 2
        raise MediaError(f"{blob.name}: time stands still or runs back at row {row}; sort the rows")
    measured = _measured_rate(blob, steps, unit)
    rate = stated or measured
    if abs(rate / measured - 1) > 0.05:
        raise MediaError(
            f"{blob.name} states {rate:g} Hz, but its time column tells {measured:g} Hz; "
            "correct one of them (a time in ms is named t_ms)"
        )
    grid = np.arange(len(times)) / rate
    if np.abs(times - grid).max() <= 0.01 / rate:
        return samples, rate
    grid = np.arange(math.floor(times[-1] * rate + 0.5) + 1) / rate
    return np.stack([np.interp(grid, times, row) for row in samples]), rate


def _measured_rate(blob: Blob, steps: NDArray[np.float64], unit: str | None) -> float:
    typical = float(np.median(steps))
    rate = len(steps) / float(steps.sum())
    if unit is None and not 1 <= 1 / typical <= 50_000:
        raise MediaError(
            f"{blob.name}: its times, taken as seconds, tell a rate of {1 / typical:g} Hz; name "
            "the column by its unit: t_s, t_ms, t_us or t_ns"
        )
    if steps.max() > max(1.0, 20 * typical):
        row = int(np.argmax(steps)) + 2
        raise MediaError(
            f"{blob.name}: a gap of {steps.max():.2f} s before row {row}; split it there"
        )
    if steps.max() > 1.5 * typical:  # dropped samples: the mean would be too slow
        rate = 1 / typical
    return check_number(rate, "sample rate", MIN_RATE, MAX_RATE, "Hz")
