"""Columns of a table that are an inertial measurement unit's, by the names that people use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anymodal.config.printable import printable
from anymodal.media.imu_units import ACCELERATION, ROTATION, TIME, find_factor
from anymodal.media.limits import MediaError

AXES = ("ax", "ay", "az", "gx", "gy", "gz")
_MAX_NAME, _MAX_COLUMNS = 100, 4096  # characters, columns: beyond, it is no such table
_AXIS = r"(?P<axis>[xyz012])"
_AFTER = r"(?:_axis)?(?:_(?P<tail>.+))?"
_BEFORE = r"(?:(?P<prefix>\w+?)_)?"
# A unit within a name, as in `accelerometer_m_s2[0]` and `gyro_rad[0]`.
_INNER = r"(?:_(?P<inner>g|mg|m_?s_?2|rad(?:_?s)?|deg_?s|dps))?"
_FREE = r"lin(?:ear)?_?acc(?:el(?:eration)?)?|user_?acc(?:el(?:eration)?)?"
_ACC = (
    rf"{_FREE}|accelerometer_acceleration|total_acceleration|accelerometer|acceleration"
    "|accel_ln|accel_wr|accel|accl|acc"
)
_GYRO = (
    "ang(?:ular)?_?vel(?:ocity)?|ang(?:ular)?_?rate|angular_speed|rot(?:ation)?_?(?:rate|speed)"
    "|gyroscope|gyro_rotation|gyro|gyr|omega"
)
_SINCE = r"(?:_(?:since_(?:start|reboot|boot|epoch)|elapsed|sync|unix|utc|in))*"
_UNITS = "|".join(sorted(TIME, key=len, reverse=True))
_PATTERNS = tuple(
    (quantity, re.compile(pattern))
    for quantity, pattern in (
        ("a", rf"{_BEFORE}(?P<word>{_ACC}){_INNER}_?{_AXIS}{_AFTER}"),
        ("g", rf"{_BEFORE}(?P<word>{_GYRO}){_INNER}_?{_AXIS}{_AFTER}"),
        ("a", r"(?P<word>g_f)_?(?P<axis>[xyz])"),
        ("a", rf"(?:imu_?\d*_|field_)?(?P<word>a(?:_rs_s)?)_?(?P<axis>[xyz]){_AFTER}"),
        ("g", rf"(?:imu_?\d*_|field_)?(?P<word>w_rs_s|w|g|as)_?(?P<axis>[xyz]){_AFTER}"),
        ("a", rf"{_BEFORE}(?P<axis>[xyz])(?:_axis)?_(?P<word>{_ACC})(?:_(?P<tail>.+))?"),
        ("g", rf"{_BEFORE}(?P<axis>[xyz])(?:_axis)?_(?P<word>{_GYRO})(?:_(?P<tail>.+))?"),
        ("t", r"(?P<word>t|ts)(?:_(?P<tail>.+))?"),
        ("t", r"(?P<word>(?P<tail>seconds)_elapsed)"),
        ("t", rf"(?P<tail>{_UNITS})"),
        (
            "t",
            rf"{_BEFORE}(?P<word>time_?stamp|stamp|elapsed_time|time|elapsed|epoch_time|epoch|epoc"
            rf"|uptime|clock|tick){_SINCE}(?:_(?P<tail>.+))?",
        ),
    )
)
_BARE_AXIS = re.compile(r"(?:(?P<prefix>\w+?)_)?(?P<axis>[xyz])(?:_axis)?")  # only with its unit
_OTHER = re.compile(
    "(?:^|_)(?:bias|std|stdev|var|variance|cov|covariance|delta|diff|d|dt|mag|magnetometer|gravity"
    "|free|jerk|error|err|sigma|offset|raw|uncalibrated|uncal|mean|min|max|rms|norm|magnitude"
    "|noise|calibration|scale|temp|temperature|zone)(?:_|$)"
)
"""Words in a name that tell of another quantity, or of readings in no unit."""
_NO_NAME = re.compile(r"[{}<>=:;\"'`!?$&\\#]")
"""Characters of code, markup and prose, which are in no column's name."""
_PLAIN = (
    *("a", "acc", "accel", "acceleration", "accelerometer"),
    *("g", "w", "omega", "gyr", "gyro", "gyroscope", "angular_velocity"),
    *("t", "ts", "time", "timestamp", "elapsed", "seconds_elapsed"),
)
"""The words that are preferred, alone, to whatever else may mean the same."""
UNKNOWN = 9
"""The least rank of a column whose unit is unknown."""
_SPLIT_CLOCK = (("sec", "secs"), ("nsec", "nsecs", "nanosec", "nanosecs"))


@dataclass(frozen=True)
class Column:
    """A column of one axis, or of times, and the unit that its name tells."""

    index: int
    name: str
    unit: str | None
    prefix: str
    rank: float
    """Among columns for the same quantity, that of the lowest rank is used."""


@dataclass(frozen=True)
class Clock:
    """The column of times, or the two of whole seconds and of nanoseconds within them."""

    columns: tuple[Column, ...]

    @property
    def unit(self) -> str | None:
        """The unit that the name tells."""
        return "s" if len(self.columns) == 2 else self.columns[0].unit

    @property
    def rank(self) -> float:
        """Plain names come first, with a unit before those without; last an unknown unit."""
        first = self.columns[0]
        return first.rank + 0.4 * (first.unit is None)

    @property
    def plain(self) -> bool:
        """True if the name is plainly that of a table's times."""
        return self.columns[0].rank < 0.5


@dataclass(frozen=True)
class Columns:
    """The six axes in the order of `AXES`, and the clocks, the best first."""

    axes: tuple[Column, ...]
    clocks: tuple[Clock, ...]


def find_columns(names: Sequence[str], where: str) -> Columns | tuple[str, ...]:
    """The columns that a header names, or the axes that it has none for.

    Raises:
        ValueError: if there are two columns for an axis, and none is the better one.
    """
    columns: dict[str, list[Column]] = {}
    for index, name in enumerate(names[:_MAX_COLUMNS]):
        for quantity, column in _read_name(index, name):
            columns.setdefault(quantity, []).append(column)
    absent = tuple(axis for axis in AXES if axis not in columns)
    if absent:
        return absent
    axes = [*_choose(columns, "a", where), *_choose(columns, "g", where)]
    return Columns(tuple(axes), _clocks(columns.get("t", [])))


def _read_name(index: int, name: str) -> Iterator[tuple[str, Column]]:
    """The meaning of a column's name: an axis (`ax`) or `t`, its unit, and how well it fits."""
    if not 0 < len(name) <= _MAX_NAME:
        return
    bare, unit = _split_unit(name.strip().lstrip("#%"))
    if _NO_NAME.search(bare) or bare.count("(") != bare.count(")"):
        return
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare).lower()
    plain = re.sub(r"[^\w°]+", "_", plain).strip("_").removesuffix("_cal")
    plain = re.sub(r"__+", "_", plain)
    for quantity, pattern in _PATTERNS:
        match = pattern.fullmatch(plain)
        if match is None:
            continue
        parts = match.groupdict()
        if any(_OTHER.search(parts.get(part) or "") for part in ("prefix", "tail")):
            return
        inner = "rad/s" if parts.get("inner") == "rad" else parts.get("inner")
        unit = unit or parts.get("tail") or inner or ("g" if parts.get("word") == "g_f" else None)
        yield _as_column(index, name, unit, quantity, parts)
        return
    if unit and not _OTHER.search(plain) and (match := _BARE_AXIS.fullmatch(plain)):
        for quantity, factors in (("a", ACCELERATION), ("g", ROTATION)):
            if find_factor(unit, factors) is not None:
                yield _as_column(index, name, unit, quantity, match.groupdict())


def _as_column(
    index: int, name: str, unit: str | None, quantity: str, parts: dict[str, str | None]
) -> tuple[str, Column]:
    factors = {"a": ACCELERATION, "g": ROTATION, "t": TIME}[quantity]
    prefix, word = parts.get("prefix") or "", parts.get("word") or ""
    rank = 0.5 * bool(prefix) + (word not in _PLAIN)
    rank += 2 * bool(re.fullmatch(_FREE, word)) + (word == "accel_wr")
    rank += UNKNOWN * (unit is not None and find_factor(unit, factors) is None)
    axis = parts.get("axis") or ""
    key = "t" if quantity == "t" else quantity + {"0": "x", "1": "y", "2": "z"}.get(axis, axis)
    return key, Column(index, name.strip(), unit, prefix, rank)


def _split_unit(name: str) -> tuple[str, str | None]:
    """A name without its unit in brackets, and that: `Accelerometer (x) [m/(s^2)]`."""
    close = name[-1:]
    if close not in (")", "]"):
        return name, None
    depth = 0
    for at in range(len(name) - 1, -1, -1):
        depth += (name[at] == close) - (name[at] == {")": "(", "]": "["}[close])
        if depth == 0:
            inside = name[at + 1 : -1].strip()
            axis = inside.lower() in ("", "x", "y", "z", "0", "1", "2")
            return (name, None) if axis else (name[:at].rstrip(), inside)
    return name, None


def _choose(columns_of: dict[str, list[Column]], quantity: str, where: str) -> list[Column]:
    """The three columns of the best sensor: those of one prefix and rank that has all axes."""
    axes = [quantity + axis for axis in "xyz"]
    sensors: dict[tuple[float, str], list[list[Column]]] = {}
    for position, axis in enumerate(axes):
        for column in columns_of[axis]:
            key = column.rank, column.prefix
            sensors.setdefault(key, [[], [], []])[position].append(column)
    complete = sorted(key for key, columns in sensors.items() if all(columns))
    if not complete:  # each axis is named in another way
        complete = [(max(min(c.rank for c in columns_of[axis]) for axis in axes), "")]
        sensors[complete[0]] = [columns_of[axis] for axis in axes]
    best = sensors[complete[0]]
    rivals = [sensors[key] for key in complete[1:] if key[0] == complete[0][0]]
    for position, axis in enumerate(axes):
        same = [*best[position], *(column for rival in rivals for column in rival[position])]
        if len(same) > 1:
            twice = f"{printable(same[0].name)!r} and {printable(same[1].name)!r}"
            raise MediaError(f"{where} has two columns for {axis}, {twice}; keep one")
    return [columns[0] for columns in best]


def _clocks(columns: list[Column]) -> tuple[Clock, ...]:
    """The clocks in a header; the seconds and nanoseconds of a ROS stamp are one."""
    clocks = []
    for column in columns:
        unit = (column.unit or "").lower()
        if unit in _SPLIT_CLOCK[0]:
            fractions = [
                other
                for other in columns
                if (other.unit or "").lower() in _SPLIT_CLOCK[1] and other.prefix == column.prefix
            ]
            clocks.append(Clock((column, *fractions[:1])))
        elif unit not in _SPLIT_CLOCK[1] or not any(
            (other.unit or "").lower() in _SPLIT_CLOCK[0] and other.prefix == column.prefix
            for other in columns
        ):
            clocks.append(Clock((column,)))
    return tuple(sorted(clocks, key=lambda clock: clock.rank))
