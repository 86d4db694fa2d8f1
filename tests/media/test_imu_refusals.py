"""Tables that are no readings, or too much, are refused in words."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anymodal.media import IMU, Limits, MediaError, load
from tests.support.imu_tables import HEAD, ROWS, is_right, table

# Values


@pytest.mark.parametrize(
    "value",
    ["nan", "inf", "-Infinity", "1e999", "1_000", "٣", "1²", "0x10", "", "−1", "-"],
)
def test_values_that_are_no_numbers(value: str) -> None:
    text = table(HEAD.replace(",", ";"), "0.0{i};1;2;3;4;5;6", 5) + f"0.05;1;2;{value};4;5;6\n"
    with pytest.raises(MediaError, match="line 7: .*az=.* is no finite number; fix, fill or cut"):
        load(text.encode())


def test_values_beyond_any_sensor() -> None:
    with pytest.raises(MediaError, match=r"line 2: -1e\+308 is no reading of a sensor"):
        load((HEAD + "\n0,1,-1e308,0,0,0,0\n").encode())
    with pytest.raises(MediaError, match="sample_rate='nan'|sample_rate=nan"):
        load(("# sample_rate=nan\n" + HEAD + "\n" + ROWS).encode())
    for note in ("1e400", "-5", "0", "1_000", "often", "a" * 10_000):  # fmt: skip
        with pytest.raises(MediaError, match="out of range; give 0.1 to 1e.06 Hz") as told:
            load((f"# sample_rate={note}\n" + HEAD[2:] + "\n1,2,3,4,5,6\n").encode())
        assert len(str(told.value)) < 400


# What is no table of an IMU

TEXTS = {
    "notes.txt": (
        "text",
        "Dear diary,\ntoday the axis x was stiff; gyro and accelerometer fine.\n",
    ),
    "a.json": ("JSON text", json.dumps([{"ax": 1, "ay": 2, "az": 3, "gx": 1, "gy": 2, "gz": 3}])),
    "b.json": ("JSON text", json.dumps({"ax": 1, "t": [0, 1]}, indent=1)),
    "code.py": ("text", "import os\n\ndef f(ax, ay, az):\n    gx, gy = ax, ay  # no\n"),
    "sales.csv": ("text", "date,region,amount\n2024-01-01,north,5\n"),
    "prices.tsv": ("text", "a\tb\n1\t2\n"),
    "run.log": ("text", "2024-01-01 10:00:00 INFO accel_x=1 started\n" * 9),
    "letter.rtf": ("RTF text", "{\\rtf1\\ansi Dear diary}"),
    "numbers.csv": ("text", "0,1,2,3,4,5,6\n" * 9),
    "utf16.txt": ("text", "Grüße aus dem Süden, ganz ohne Tabelle"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_called_a_text(name: str, tmp_path: Path) -> None:
    what, text = TEXTS[name]
    path = tmp_path / name
    path.write_text(text, encoding="utf-16" if name == "utf16.txt" else "utf-8")
    for kind in (None, "imu"):
        with pytest.raises(MediaError, match=f"{name} is {what}, no table of an IMU: it has no"):
            load(path, kind=kind)
    with pytest.raises(MediaError, match="holds text, not audio; give audio data$"):
        load(path.read_bytes(), kind="audio")
    with pytest.raises(MediaError, match=r"named as image \(.png\), but it holds text"):
        load(path.rename(tmp_path / "a.png"))


def test_half_a_table_says_which_half_is_missing() -> None:
    data = table("Time (s),Acceleration x (m/s^2),Acceleration y (m/s^2),Acceleration z (m/s^2)",
                 "0.0{i},1,2,3", 9).encode()  # fmt: skip
    with pytest.raises(MediaError, match="has no column for gx, gy, gz .*join the files of two"):
        load(data)


# Attacks


@pytest.mark.parametrize(
    "line",
    ["# " + "a" * 2**20, "# " + "a " * 2**19, "# " + "a=" * 2**19, "# " + " " * 2**20 + "x",
     "#" * 2**20, "%" + "t,ax," * 2**17, "// units" + ":" * 2**20, "a" * 2**20, "x_" * 2**19,
     "ax," * 2**18, "(" * 2**20, '"' * 2**20, "[" * 2**20 + "]" * 9, "x\t;,| " * 2**17,
     "A" * 40_000, "a_" * 20_000 + "x", "accelerometer_" * 3000 + "x", "(x" * 20_000 + ")"],
    ids=lambda line: f"{line[:8]!r}...",
)  # fmt: skip
@pytest.mark.parametrize("place", ["before", "within"])
def test_long_lines_take_no_long_time(line: str, place: str) -> None:
    before = [line, HEAD, ROWS] if place == "before" else [HEAD, ROWS.rstrip(), line]
    began = time.process_time()
    try:
        is_right(load("\n".join(before).encode()))
    except MediaError as error:
        assert len(str(error)) < 600
    assert time.process_time() - began < 3


def test_a_grid_of_gigabytes_is_refused_before_it_is_made() -> None:
    for long, count in ((0.99, 25), (0.9, 8), (0.02, 25)):
        steps = [1e-6] * 30 + [long] * count
        rows = "".join(f"{t * 1e6:.0f},0,0,9.8,0,0,0\n" for t in np.cumsum([0, *steps]))
        tracemalloc.start()
        with pytest.raises(MediaError, match="over the limit|would become .* samples"):
            load(("t_us" + HEAD[1:] + "\n" + rows).encode())
        assert tracemalloc.get_traced_memory()[1] < 2**22
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float16, np.float32, np.float64])
def test_arrays_take_little_more_than_they_hold(dtype: Any) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ones((200_000, 6), dtype))
    data = buffer.getvalue()
    tracemalloc.start()
    medium = load(data, kind="imu", sample_rate=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(medium, IMU)
    assert peak < 2.2 * medium.samples.nbytes + 1.5 * len(data)
    small = Limits(max_decoded_bytes=medium.samples.nbytes - 1)
    with pytest.raises(MediaError, match="max_decoded_bytes"):
        load(data, kind="imu", sample_rate=1000, limits=small)


def test_rows_beyond_the_limit_are_not_read() -> None:
    data = table("t_us" + HEAD[1:], "{i}00,1,2,3,4,5,6", 20_000).encode()
    with pytest.raises(MediaError, match="rows of 7 numbers.*max_decoded_bytes"):
        load(data, limits=Limits(max_decoded_bytes=100_000))


@pytest.mark.parametrize(
    "data",
    [
        (HEAD + '\n0,1,"2,3,4,5,6\n' + ROWS * 90).encode(),
        (HEAD + "\n" + ROWS + "0,1\0,2,3,4,5,6\n").encode(),
        (HEAD + "\n0," + "9" * 200_000 + ",2,3,4,5,6\n").encode(),
        (HEAD + "\n0," + "9" * 5000 + ",2,3,4,5,6\n").encode(),
        (HEAD + "\n" + "#\n" * 20_000).encode(),
        b"#\n" * 20_000 + HEAD.encode(),
        ("a,b\n" * 300 + HEAD + "\n" + ROWS).encode(),
        (HEAD + "\n").encode() + b"\xff\xfe\xfd" * 9,
        HEAD.encode("utf-16")[:-1],
        b"\xff\xfe",
        b"sep=,\n",
        b"sep=a\nsep=b\n",
    ],
    ids=range(12),
)
def test_broken_tables_end_in_words(data: bytes) -> None:
    with pytest.raises(MediaError) as told:
        load(data, kind="imu")
    assert len(str(told.value)) < 700 and "cannot be decoded" not in str(told.value)


# Nothing that is drawn ends in anything but a recording or words

WILD = settings(deadline=5000, max_examples=150, database=None,
                suppress_health_check=[HealthCheck.too_slow])  # fmt: skip

CELLS = st.one_of(
    st.sampled_from(["t", "time_ms", "ax", "gx [deg/s]", "#", "sep=;", "1,5", "1e308", '"', "\0"]),
    st.floats().map(str), st.integers().map(str), st.text(max_size=9),
)  # fmt: skip


@WILD
@given(
    st.lists(st.lists(CELLS, max_size=9), max_size=9),
    st.sampled_from([",", ";", "\t", " "]),
    st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-32", "cp1252"]),
    st.booleans(),
)
@example([["0", "1", "2"]], ",", "utf-8", True)
def test_wild_tables(rows: list[list[str]], delimiter: str, encoding: str, headed: bool) -> None:
    lines = [delimiter.join(row) for row in rows]
    text = "\n".join([HEAD.replace(",", delimiter)] * headed + lines)
    try:
        medium = load(text.encode(encoding, "replace"), kind="imu")
    except MediaError as error:
        assert 20 < len(str(error)) < 900
    else:
        assert np.isfinite(medium.samples).all()  # type: ignore[attr-defined]
