"""Indices beside data files: built once, built anew when stale or damaged, never half there."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from anymodal.data.containers import copies, json_lines, open_rows
from anymodal.data.containers import index as indices
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.index import Spans


def write(path: Path, count: int, size: int = 10) -> Path:
    path.write_text("".join(json.dumps({"n": n, "t": "x" * size}) + "\n" for n in range(count)))
    return path


def index_of(path: Path) -> Path:
    (found,) = (path.parent / ".anymodal").glob(f"{path.name}.*.index")
    return found


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were looked through."""
    found: list[str] = []
    scan = json_lines.scan_lines

    def counting(file: DataFile) -> Iterator[Spans]:
        found.append(file.name)
        return scan(file)

    monkeypatch.setattr(json_lines, "scan_lines", counting)
    return found


def test_an_index_is_built_once_and_anew_for_another_file(tmp_path: Path, scans: list[str]) -> None:
    path = write(tmp_path / "a.jsonl", 4)
    assert [len(open_rows(path)) for _ in range(3)] == [4, 4, 4]
    assert len(scans) == 1
    stamp = open_rows(path).stamp(1)
    old = index_of(path)
    write(path, 6)
    assert len(open_rows(path)) == 6 and open_rows(path).stamp(1) != stamp
    assert len(scans) == 2 and not old.exists(), "the stale one has gone"
    os.utime(path, ns=(1, 1))  # of the same size
    assert len(open_rows(path)) == 6 and len(scans) == 3


@pytest.mark.parametrize("harm", ["cut", "empty", "flipped", "head"])
def test_a_damaged_index_is_built_anew(tmp_path: Path, harm: str, scans: list[str]) -> None:
    path = write(tmp_path / "a.jsonl", 4)
    open_rows(path)
    data = bytearray(index_of(path).read_bytes())
    if harm == "flipped":
        data[-9] ^= 1
    if harm == "head":
        data[3] = 0
    index_of(path).write_bytes({"cut": data[:-8], "empty": b""}.get(harm, data))
    assert open_rows(path)[3]["n"] == 3 and len(scans) == 2
    assert open_rows(path)[3]["n"] == 3 and len(scans) == 2


def test_a_disk_that_takes_no_index_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = write(tmp_path / "a.jsonl", 4)
    monkeypatch.setattr(indices, "side_file", full)
    assert open_rows(path)[3]["n"] == 3
    assert "its index can't be kept ([Errno 28] No space left on device)" in caplog.text


def test_a_data_file_that_cannot_be_read_is_no_fault_of_the_index(tmp_path: Path) -> None:
    def scan() -> Iterator[Spans]:
        raise OSError(5, "Input/output error", "a.jsonl")
        yield

    file = DataFile.of(write(tmp_path / "a.jsonl", 4))
    with pytest.raises(OSError, match="Input/output error"):
        indices.open_index(file, scan)


def test_a_file_that_shrinks_under_a_run_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 4)
    rows = open_rows(path)
    write(path, 1)
    with pytest.raises(ValueError, match="has changed since it was opened"):
        rows[3]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_opening_many_rows_takes_little_memory(tmp_path: Path) -> None:
    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    path = write(tmp_path / "a.jsonl", 200_000, 60)
    before = resident()
    rows = open_rows(path)
    assert len(rows) == 200_000 and rows[123_456]["n"] == 123_456
    assert resident() - before < 50_000_000


def opened(path: Path) -> int:
    return int(open_rows(path)[2]["n"])


def test_one_process_makes_a_file_while_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"n": 0}\n{"n": 1}\n{"n": 2}\n'))
    unpack = copies._unpack

    def slowly(*arguments: Any) -> Iterator[bytes]:
        with (tmp_path / "made").open("a") as log:
            log.write("x")
        time.sleep(0.2)
        yield from unpack(*arguments)

    monkeypatch.setattr(copies, "_unpack", slowly)
    with ProcessPoolExecutor(4, multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(opened, [path] * 4)) == [2] * 4
    assert (tmp_path / "made").read_text() == "x"


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 4)
    open_rows(path)
    name = index_of(path).name
    left = tmp_path / ".anymodal" / f".{name}.99999.tmp"
    left.write_bytes(b"half")
    index_of(path).unlink()
    assert len(open_rows(path)) == 4 and not left.exists() and index_of(path).name == name
