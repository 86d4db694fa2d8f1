"""Times of readings: units, gaps, repeated and doubtful ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymodal.media import IMU, MediaError, load
from tests.support.imu_tables import HEAD, is_right, table

# Times


@pytest.mark.parametrize("name", ["t", "time", "timestamp", "Elapsed", "ts"])
@pytest.mark.parametrize("step", [1, 2, 5, 10, 20, 1000, 5000, 10_000, 5_000_000])
def test_whole_numbers_without_a_unit_are_asked_about(name: str, step: int) -> None:
    data = table(HEAD.replace("t,", name + ","), "{i},1,2,3,4,5,6", step=step).encode()
    with pytest.raises(MediaError, match=f"its times in '{name}'.*have no unit.*t_s, t_ms, t_us"):
        load(data)
    rate = 1000 / step
    if rate >= 0.1:
        is_right(load(data, units="m/s^2, rad/s, ms"), rate)
        is_right(load(data, sample_rate=rate), rate)
        is_right(load(b"# units: m/s^2, rad/s, ms\n" + data), rate)
        is_right(load(data.replace(name.encode(), b"t_ms", 1)), rate)
    if step == 1:
        is_right(load(data.replace(name.encode(), b"t_s", 1)), 1)


@pytest.mark.parametrize("text", ["0.0 2.5 5.0 7.5 10.0", "0 .98 1.95 2.93 3.91", "0 0.5 1 1.5 2"])
def test_fractions_that_may_be_milliseconds(text: str) -> None:
    rows = "".join(f"{t},1,2,3,4,5,6\n" for t in text.split())
    with pytest.raises(MediaError, match="no unit"):
        load(f"time,{HEAD[2:]}\n{rows}".encode())


def test_repeated_whole_numbers_are_asked_about_too() -> None:
    rows = "".join(f"{i // 50},1,2,3,4,5,6\n" for i in range(500))
    with pytest.raises(MediaError, match="no unit.*50 Hz in s"):
        load((HEAD + "\n" + rows).encode())


@pytest.mark.parametrize(
    ("first", "step", "rate"),
    [
        ("1700000000", "0.005", 200),
        ("1700000000", "1", 1),
        ("1700000000123", "5", 200),
        ("1700000000123", "0.5", 2000),
        ("1700000000123456", "5000", 200),
        ("1700000000123456789", "5000000", 200),
    ],
)
def test_unix_times_tell_their_unit(first: str, step: str, rate: float) -> None:
    from decimal import Decimal

    rows = "".join(f"{Decimal(first) + i * Decimal(step)},1,2,3,4,5,6\n" for i in range(100))
    is_right(load((HEAD + "\n" + rows).encode()), rate)


def test_a_phone_s_uptime_is_no_unix_time() -> None:
    rows = "".join(f"{1_200_000_000_000 + i * 5_000_000},1,2,3,4,5,6\n" for i in range(100))
    with pytest.raises(MediaError, match="no unit.*200 Hz in ns"):
        load((HEAD + "\n" + rows).encode())


def test_times_saved_by_a_recorder_of_one_hertz_load_again(tmp_path: Path) -> None:
    for rate in (0.1, 0.5, 1, 2, 1000, 40_000):
        made = IMU(np.ones((6, 20), np.float32), rate)
        assert load(made.save(tmp_path / "a.csv")) == made


def timed(times: Any, name: str = "t_s", moved: bool = True) -> IMU:
    """A table with these times, whose ax is the number of the row."""
    rows = "".join(f"{t:.12g},{i * moved},2,3,4,5,6\n" for i, t in enumerate(times))
    medium = load(f"{name},{HEAD[2:]}\n{rows}".encode())
    assert isinstance(medium, IMU)
    return medium


@pytest.mark.parametrize(
    ("times", "rate"),
    [
        (np.floor(np.arange(2000) / 1.6) / 1000, 1600),  # rounded to milliseconds
        (np.round(np.arange(2000) / 1.024) / 1000, 1024),
        (np.floor(np.arange(400) / 2) / 100, 200),  # a clock of 10 ms
        (np.arange(500) // 10 * 0.1, 100),  # batches of ten
        (np.arange(3, 503) // 10 * 0.1, 100),  # the first one is cut
        (np.arange(1000) // 100 + 1_700_000_000, 100),  # whole seconds
        (np.arange(30) // 10 * 0.1, 100),
    ],
)
def test_repeated_times_are_spread(times: Any, rate: float) -> None:
    medium = timed(times)
    assert medium.rate == pytest.approx(rate, rel=0.01)
    assert medium.samples[0].tolist() == list(range(len(times)))
    if rate != 1024:  # few repeat, so that rows alike count as written twice
        assert timed(times, moved=False).samples.shape == medium.samples.shape


def test_a_row_written_twice_counts_once() -> None:
    times = np.arange(100) / 100
    lines = [f"{t:g},{i},2,3,4,5,6" for i, t in enumerate(times)]
    twice = [line for i, line in enumerate(lines) for _ in range(1 + (i in (7, 50, 51)))]
    medium = load("\n".join(["t_s" + HEAD[1:], *twice]).encode())
    assert medium == load("\n".join(["t_s" + HEAD[1:], *lines]).encode())


def test_batches_with_one_lost_keep_their_times() -> None:
    times = np.concatenate([np.arange(100), np.arange(130, 200)]) // 10 * 0.1
    rows = "".join(f"{t:g},{t:g},2,3,4,5,6\n" for t in times)
    medium = load((("t_s" + HEAD[1:]) + "\n" + rows).encode())
    assert isinstance(medium, IMU) and medium.rate == pytest.approx(100)
    at = np.arange(medium.samples.shape[1]) / medium.rate
    assert np.abs(medium.samples[0] - at).max() < 0.31  # within the gap
    assert np.abs(medium.samples[0] - at)[:90].max() < 0.11


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, 1, 2, 1.5, 3], r"time runs back at line 5 \(t_ms=1.5\), behind 2; sort the rows"),
        ([5] * 9, r"time stands still at line 3 \(t_ms=5\), for 9 rows"),
        ([*range(50), *[50] * 50], r"time stands still at line 53 \(t_ms=50\), for 50 rows"),
        ([*range(20), *[20] * 30, *range(21, 40)], "time stands still at line 23"),
        ([0, 10, 20, 5020, 5030], r"a gap of 5.00 s before line 5 \(t_ms=5020\)"),
        ([i * 1e5 for i in range(5)], "tell a rate of 0.01 Hz"),
        ([i * 1e-6 for i in range(9)], "tell a rate of 1e.09 Hz"),
        ([i * 5000 for i in range(999)], "lasts 4,990.0 s, over the limit of 600"),
    ],
)
def test_times_that_make_no_recording(times: list[float], message: str) -> None:
    with pytest.raises(MediaError, match=message):
        timed(times, "t_ms")


def test_two_clocks_that_disagree() -> None:
    with pytest.raises(MediaError, match="in 't_ms' last 0.49 s, those in 'elapsed_s' 4.9 s"):
        load(table("t_ms,elapsed_s,ax,ay,az,gx,gy,gz", "{i}0,{i}e-1,1,2,3,4,5,6").encode())
    is_right(load(table("t_ms,t_us,ax,ay,az,gx,gy,gz", "{i}0,{i}0000,1,2,3,4,5,6").encode()))


def test_a_stated_rate_does_without_times_of_another_form() -> None:
    data = table(HEAD, "10:20:{i},1,2,3,4,5,6").encode()
    with pytest.raises(MediaError, match="line 2: t='10:20:0' is no finite number"):
        load(data)
    is_right(load(data, sample_rate=100))
    is_right(load(table("start_time," + HEAD[2:], "5,1,2,3,4,5,6").encode(), sample_rate=100))
