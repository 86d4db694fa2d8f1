"""Tensors come back from a folder to the bit, whoever wrote them and whatever ended it early."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anymodal.io import tensor_store
from anymodal.io.segments import RECORD, tensor_bytes
from anymodal.io.tensor_store import TensorStore
from tests.support.children import exit_code, start
from tests.support.together import add_many

SECTION = "0" * 32

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.bool, torch.int64, torch.float64]


@st.composite
def values(draw: st.DrawFn) -> tuple[Tensor, ...]:
    def tensor() -> Tensor:
        dtype = draw(st.sampled_from(DTYPES))
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        count = int(np.prod(shape, dtype=int))
        if dtype == torch.bool:
            return torch.tensor(
                draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=dtype
            ).reshape(shape)
        data = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
        raw = torch.tensor(list(data), dtype=torch.uint8)
        return raw.view(dtype).reshape(shape)

    return tuple(tensor() for _ in range(draw(st.integers(1, 3))))


def same(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> bool:
    """Types, shapes and bits, NaN's included."""
    return all(
        a.dtype == b.dtype and a.shape == b.shape and tensor_bytes(a) == tensor_bytes(b)
        for a, b in zip(first, second, strict=True)
    )


@settings(max_examples=60)
@given(st.dictionaries(st.text(), values(), max_size=6), st.integers(0, 3))
def test_values_come_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, items: dict[str, Any], recent: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RECENT_MIN", "RECENT_MAX"):  # so that some are sorted away
            patch.setattr(tensor_store, name, recent)
        mine = TensorStore(folder)
        for key, value in items.items():
            mine.add(SECTION, {key: value})
        for store in (mine, TensorStore(folder)):
            found = store.find(SECTION, [*items, "another key"])
            assert found.keys() == items.keys()
            assert all(same(found[key], value) for key, value in items.items())
            assert not store.find("1" * 32, list(items))


def filled(folder: Path, count: int = 4) -> TensorStore:
    store = TensorStore(folder)
    store.add(SECTION, {str(i): (torch.full((3,), float(i)),) for i in range(count)})
    return store


def keys(folder: Path, count: int = 4) -> list[str]:
    found = TensorStore(folder).find(SECTION, [str(i) for i in range(count)])
    assert all(same(value, (torch.full((3,), float(key)),)) for key, value in found.items())
    return list(found)


def files(folder: Path) -> tuple[Path, Path]:
    (data,), (index,) = (folder.rglob(f"*.{kind}") for kind in ("data", "index"))
    return data, index


def test_torn_tails_are_ignored_and_written_anew(tmp_path: Path) -> None:
    for name, torn, left in (("data", 5, 3), ("data", 12, 3), ("index", 5, 3), ("index", 25, 2)):
        folder = tmp_path / f"{name}{torn}"
        filled(folder)
        path = files(folder)[name == "index"]
        os.truncate(path, path.stat().st_size - torn)
        assert keys(folder) == ["0", "1", "2"][:left]
        filled(folder)
        assert keys(folder) == ["0", "1", "2", "3"]


def test_a_spoiled_row_counts_as_missing(tmp_path: Path) -> None:
    filled(tmp_path)
    data, index = files(tmp_path)
    with open(data, "r+b") as file:
        file.seek(14)
        file.write(b"\xff")
    with open(index, "ab") as file:
        file.write(bytes(200))  # what a power cut leaves of a file that had just grown
    (tmp_path / SECTION / "notes.index").touch()
    (tmp_path / SECTION / "notes.data").touch()
    assert keys(tmp_path) == ["0", "2", "3"]
    filled(tmp_path)
    assert keys(tmp_path) == ["0", "1", "2", "3"]


def test_a_cache_deleted_under_way_is_no_harm(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert len(store.find(SECTION, ["0", "1"])) == 2
    shutil.rmtree(tmp_path)
    assert not store.find(SECTION, ["7"])
    tmp_path.mkdir()
    filled(tmp_path)
    assert store.find(SECTION, ["3"]).keys() == {"3"}


def test_a_full_segment_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_store, "SEGMENT_BYTES", 20)
    monkeypatch.setattr(tensor_store, "MAX_MAPS", 1)
    store = TensorStore(tmp_path)
    for i in range(6):
        store.add(SECTION, {str(i): (torch.full((3,), float(i)),)})
    assert len(list(tmp_path.rglob("*.data"))) == 3
    assert len(keys(tmp_path, 6)) == 6 and store.size(SECTION) == 6 * 12


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_write_at_once_and_read_each_other(tmp_path: Path, method: str) -> None:
    context = multiprocessing.get_context(method)
    go = context.Barrier(3)
    workers = [
        context.Process(target=add_many, args=(tmp_path, SECTION, first, go))
        for first in (0, 50, 150)
    ]
    mine = TensorStore(tmp_path)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    assert len(mine.find(SECTION, [str(i) for i in range(250)])) == 250
    assert len(keys(tmp_path, 250)) == 250
    assert len(list(tmp_path.rglob("*.data"))) == 3


def test_a_fork_writes_a_file_of_its_own(tmp_path: Path) -> None:
    store = filled(tmp_path, 1)
    child = multiprocessing.get_context("fork").Process(
        target=store.add, args=(SECTION, {"1": (torch.ones(3),)})
    )
    child.start()
    assert exit_code(child) == 0
    store.add(SECTION, {"2": (torch.full((3,), 2.0),)})
    assert len(list(tmp_path.rglob("*.data"))) == 2 and len(keys(tmp_path, 3)) == 3


def killed_while_writing(folder: Path) -> None:
    store = TensorStore(folder)
    for i in range(10**6):
        store.add(SECTION, {str(i): (torch.full((3,), float(i)),)})


def test_a_process_that_is_killed_leaves_what_it_had_written(tmp_path: Path) -> None:
    worker = start(killed_while_writing, tmp_path)
    until = time.monotonic() + 60
    while sum(path.stat().st_size for path in tmp_path.rglob("*.index")) < 2000:
        assert worker.is_alive() and time.monotonic() < until
    worker.kill()
    assert exit_code(worker) == -signal.SIGKILL
    count = files(tmp_path)[1].stat().st_size // RECORD.itemsize
    assert count >= 100 and len(keys(tmp_path, count)) == count


def test_a_folder_takes_no_more_than_its_limit(tmp_path: Path) -> None:
    store = TensorStore(tmp_path, limit=30)
    for number in range(2):
        store.add(SECTION, {str(number): (torch.full((3,), float(number)),)})
    assert store.free() == 6
    with pytest.warns(UserWarning, match="max_gb=.* is reached.: what is there stays in use"):
        store.add("1" * 32, {"2": (torch.full((3,), 2.0),)})
    assert keys(tmp_path, 3) == ["0", "1"] and not store.find("1" * 32, ["2"])
