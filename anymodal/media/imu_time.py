"""Times of readings: their unit, their rate, and readings moved onto an even grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anymodal.media.imu_units import TIME, factor
from anymodal.media.limits import Limits, MediaError

MIN_RATE, MAX_RATE = 0.1, 1_000_000.0
_UNITS = ("s", "ms", "us", "ns")
_SINCE_1970 = (946_684_800.0, 4_102_444_800.0)  # the years 2000 to 2100 in seconds
_PLAUSIBLE = 4.0, 50_000.0  # Hz, of times without a unit: slower may well be milliseconds
_MOST_FILLED = 20  # samples made for each that is there


@dataclass(frozen=True)
class Times:
    """The times of a table as they stand there, and what messages call them by."""

    name: str
    column: str
    clock: NDArray[np.float64]
    lines: NDArray[np.unsignedinteger]
    unit: str | None

    def at(self, row: int) -> str:
        """A row's line and time, for errors."""
        return f"line {self.lines[row]} ({self.column}={self.clock[row]:.15g})"


def even_out(
    times: Times,
    values: NDArray[np.float64],
    scales: Sequence[float],
    stated_rate: float | None,
    limits: Limits,
) -> tuple[NDArray[np.float32], float]:
    """Samples (6, m) of readings (n, 6) on an even grid, and its rate in Hz.

    Readings within 1 % of the grid stay as they are, others are interpolated linearly.

    Times that repeat, as of a clock that is too coarse or of readings that arrive in batches,
    are spread evenly. The rate is the stated one, if the times agree to 5 %.

    Raises:
        ValueError: if the times have no unit and could have several, run back, stand still or
            jump, tell another rate than stated, or make more samples than the limits allow.
    """
    times, values = _drop_twice(times, values)
    seconds = _spread_equal_times(
        times, (times.clock - times.clock[0]) * _factor(times, stated_rate)
    )
    limits.check_seconds(times.name, float(seconds[-1]))
    mean_rate = _measure(times, np.diff(seconds))
    rate = stated_rate or mean_rate
    if abs(rate / mean_rate - 1) > 0.05:
        raise MediaError(
            f"{times.name} states {rate:g} Hz, but its time column {times.column!r} tells "
            f"{mean_rate:g} Hz; correct one of them (a time in ms is named t_ms)"
        )
    count = len(seconds)
    if np.abs(seconds - np.arange(count) / rate).max() <= 0.01 / rate:
        return to_samples(values, scales), rate
    count_out = math.floor(seconds[-1] * rate + 0.5) + 1
    _check_grid(times, count_out, rate, limits)
    grid = np.arange(count_out) / rate
    samples = np.empty((len(scales), count_out), np.float32)
    for row, column, scale in zip(samples, values.T, scales, strict=True):
        row[:] = np.interp(grid, seconds, column * scale)
    return samples, rate


def to_samples(values: NDArray[np.float64], scales: Sequence[float]) -> NDArray[np.float32]:
    """Readings (n, 6) times the factor of each axis, as (6, n), one axis in memory at a time."""
    samples = np.empty(values.T.shape, np.float32)
    for row, column, scale in zip(samples, values.T, scales, strict=True):
        row[:] = column * scale
    return samples


def _check_grid(times: Times, count: int, rate: float, limits: Limits) -> None:
    limits.check_decoded(times.name, 24 * count, f"{count:,} samples at {rate:g} Hz")
    if count > _MOST_FILLED * len(times.clock):
        raise MediaError(
            f"{times.name}: its {len(times.clock):,} rows would become {count:,} samples at "
            f"{rate:g} Hz, since most times in {times.column!r} are close together and others far "
            "apart; record it anew, or give load(..., sample_rate=...) without such times"
        )


def _factor(times: Times, stated_rate: float | None) -> float:
    """Seconds in a unit of the times: the named one, else the only one that makes sense.

    That is the one that the stated rate tells, or that makes dates of this century out of the
    times, as Unix times are; else seconds, if the times have fractions and tell a usual rate.
    Whole numbers may be anything.
    """
    if times.unit is not None:
        return factor(times.unit, TIME)
    clock = times.clock
    span = float(clock[-1] - clock[0])
    if not span > 0:
        return 1.0  # told as standing still or running back
    raw = _rate(clock - clock[0])
    for unit in _UNITS:
        rate = raw / TIME[unit]
        if stated_rate is not None and abs(stated_rate / rate - 1) <= 0.05:
            return TIME[unit]
        is_unix_time = _SINCE_1970[0] <= float(clock[0]) * TIME[unit] <= _SINCE_1970[1]
        if is_unix_time and 0.95 <= rate <= _PLAUSIBLE[1]:
            return TIME[unit]
    has_no_fractions = bool((clock == np.floor(clock)).all())
    if not has_no_fractions and (_PLAUSIBLE[0] <= raw <= _PLAUSIBLE[1] or stated_rate is not None):
        return 1.0
    as_units = ", ".join(f"{raw / TIME[unit]:.6g} Hz in {unit}" for unit in _UNITS)
    raise MediaError(
        f"{times.name}: its times in {times.column!r} ({clock[0]:.15g}, {clock[1]:.15g}, … "
        f"{clock[-1]:.15g}) have no unit, and could mean {as_units}; name the column by its unit: "
        "t_s, t_ms, t_us or t_ns, or give load(..., sample_rate=200) or "
        "load(..., units='m/s^2, rad/s, ms')"
    )


def _rate(times: NDArray[np.float64]) -> float:
    """Rows for each unit of time, told by the usual step between two different times."""
    starts = _starts(times)
    if len(starts) == len(times):
        return 1 / float(np.median(np.diff(times)))
    return float(np.median(np.diff(starts)) / np.median(np.diff(times[starts])))


def _drop_twice(times: Times, values: NDArray[np.float64]) -> tuple[Times, NDArray[np.float64]]:
    """Without rows that were written twice, time and all; where many are, it is how they came."""
    twice = np.flatnonzero(np.diff(times.clock) == 0) + 1
    if 0 < len(twice) <= len(times.clock) // 4:
        twice = twice[(values[twice] == values[twice - 1]).all(axis=1)]
        values = np.delete(values, twice, axis=0)
        clock, lines = np.delete(times.clock, twice), np.delete(times.lines, twice)
        times = replace(times, clock=clock, lines=lines)
    return times, values


def _starts(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rows at which a new time begins."""
    return np.flatnonzero(np.diff(times, prepend=-np.inf)).astype(np.int64)


def _spread_equal_times(times: Times, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times that rise with every row, in seconds from the first.

    Equal ones are those of a clock that is coarser than the rate. Where an even rate explains
    all of them to within two of the clock's steps, they are that; else each run of equal times
    is spread up to the next time, no wider than rows usually are.
    """
    steps = np.diff(seconds)
    if (steps < 0).any():
        row = int(np.argmax(steps < 0)) + 1
        raise MediaError(
            f"{times.name}: time runs back at {times.at(row)}, behind "
            f"{times.clock[row - 1]:.15g}; sort the rows"
        )
    if (steps > 0).all():
        return seconds
    starts = _starts(seconds)
    counts = np.diff(starts, append=len(seconds))
    usual = float(np.median(counts))
    longest = int(np.argmax(counts))
    if len(starts) < 3 or counts[longest] > 2 * usual + 2:
        row = int(starts[longest]) + 1
        raise MediaError(
            f"{times.name}: time stands still at {times.at(row)}, for {counts[longest]:,} rows; "
            "give times that rise, or leave the column out and give load(..., sample_rate=200)"
        )
    distinct = seconds[starts]
    gaps = np.diff(distinct)
    inner = slice(1, None) if len(starts) > 3 else slice(None)  # the first run may be cut
    first, last = starts[inner][0], starts[-1]
    period = (distinct[-1] - distinct[inner][0]) / (last - first)
    index = np.arange(len(seconds))
    off = seconds - index * period
    if off.max() - off.min() <= 2 * float(np.median(gaps)):
        return np.asarray(index * period)
    period = float(np.median(gaps)) / usual
    each = np.minimum(np.append(gaps, np.inf) / counts, period)
    run = np.repeat(np.arange(len(starts)), counts)
    return np.asarray(distinct[run] + (index - starts[run]) * each[run])


def _measure(times: Times, steps: NDArray[np.float64]) -> float:
    typical = float(np.median(steps))
    rate = len(steps) / float(steps.sum())
    if steps.max() > max(1.0, 20 * typical):
        row = int(np.argmax(steps)) + 1
        raise MediaError(
            f"{times.name}: a gap of {steps.max():.2f} s before {times.at(row)}; split it there"
        )
    if steps.max() > 1.5 * typical:  # dropped samples: the mean would be too slow
        rate = 1 / typical
    if not MIN_RATE <= rate <= MAX_RATE:
        raise MediaError(
            f"{times.name}: its times in {times.column!r} tell a rate of {rate:g} Hz, out of "
            f"{MIN_RATE:g} to {MAX_RATE:,.0f}; correct them or their unit"
        )
    return rate
