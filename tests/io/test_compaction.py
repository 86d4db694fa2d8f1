"""Segments become few when a store is opened, and nothing is lost whatever ends it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.io import compaction, segments
from anymodal.io.compaction import compact
from anymodal.io.tensor_store import TensorStore
from tests.support.children import exit_code

SECTION = "0" * 32
LATER = 1e9
"""Seconds, in which nothing counts as idle."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are merged at once, and from three on."""
    monkeypatch.setattr(compaction, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(compaction, "MAX_SMALL", 2)


def value(number: int) -> tuple[torch.Tensor, ...]:
    return (torch.full((3,), float(number)),)


def write(folder: Path, numbers: range) -> None:
    """One segment for each of the numbers."""
    for number in numbers:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction, "IDLE_SECONDS", LATER)
            TensorStore(folder).add(SECTION, {str(number): value(number)})


def whole(store: TensorStore, count: int) -> bool:
    found = store.find(SECTION, [str(number) for number in range(count)])
    return len(found) == count and all(
        torch.equal(found[str(number)][0], value(number)[0]) for number in range(count)
    )


def count_files(folder: Path) -> int:
    return len(list((folder / SECTION).iterdir()))


def test_many_segments_become_one_with_each_whole_row_once(tmp_path: Path) -> None:
    write(tmp_path, range(4))
    write(tmp_path, range(1))  # once more
    (spoiled, *_) = sorted((tmp_path / SECTION).glob("*.index"))
    with open(spoiled, "ab") as file:
        file.write(bytes(45))  # two records of nothing and a torn one
    (tmp_path / SECTION / "notes.txt").touch()
    assert whole(TensorStore(tmp_path), 4)
    assert count_files(tmp_path) == 3
    (data,) = (tmp_path / SECTION).glob("*.data")
    assert data.stat().st_size == 4 * 12
    assert whole(TensorStore(tmp_path), 4) and count_files(tmp_path) == 3


def test_segments_that_are_few_or_in_use_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, range(2))
    assert whole(TensorStore(tmp_path), 2) and count_files(tmp_path) == 4
    write(tmp_path, range(2, 5))
    monkeypatch.setattr(compaction, "IDLE_SECONDS", LATER)
    assert whole(TensorStore(tmp_path), 5) and count_files(tmp_path) == 10


def test_groups_are_no_larger_than_a_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SEGMENT_BYTES", 30)
    write(tmp_path, range(6))
    assert whole(TensorStore(tmp_path), 6) and count_files(tmp_path) == 6


def test_only_the_first_of_processes_launched_together_merges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, range(3))
    monkeypatch.setenv("RANK", "1")
    assert whole(TensorStore(tmp_path), 3) and count_files(tmp_path) == 6


def test_an_open_store_goes_on_when_another_merges_its_segments(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "IDLE_SECONDS", LATER)
        early = TensorStore(tmp_path)
        assert whole(early, 3)
        early.add(SECTION, {"3": value(3)})
    other = TensorStore(tmp_path)
    assert whole(other, 4) and count_files(tmp_path) == 2
    early.add(SECTION, {"4": value(4)})
    for segment in early.sections[SECTION].segments:
        segment.memmap = None  # as of one among many
    assert whole(early, 5) and whole(other, 5) and count_files(tmp_path) == 4


def die_at(operation: int, folder: Path) -> None:
    """Merge, and end as if killed before an operation on files."""
    left = [operation]

    def dying(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if left[0] == 0:
                os._exit(9)
            left[0] -= 1
            return work(*args, **kwargs)

        return call

    for name in ("replace", "fsync", "unlink"):
        setattr(os, name, dying(getattr(os, name)))
    Path.unlink = dying(Path.unlink)  # type: ignore[method-assign]
    compact(folder / SECTION)


def test_a_merge_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for operation in range(40):
        folder = tmp_path / str(operation)
        write(folder, range(4))
        child = context.Process(target=die_at, args=(operation, folder))
        child.start()
        code = exit_code(child)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction, "IDLE_SECONDS", LATER)
            assert whole(TensorStore(folder), 4), operation
        assert whole(TensorStore(folder), 4), operation
        if code == 0:
            break
    assert code == 0 and operation > 8 and count_files(folder) == 2


def merge_together(folder: Path, go: Any) -> None:
    go.wait()
    assert whole(TensorStore(folder), 30)


def test_processes_that_open_a_store_at_once_find_everything(tmp_path: Path) -> None:
    write(tmp_path, range(30))
    context = multiprocessing.get_context("fork")
    go = context.Barrier(3)
    children = [context.Process(target=merge_together, args=(tmp_path, go)) for _ in range(3)]
    for child in children:
        child.start()
    assert [exit_code(child) for child in children] == [0, 0, 0]
    assert whole(TensorStore(tmp_path), 30) and count_files(tmp_path) <= 6


@pytest.mark.parametrize("count", [2, 20])
def test_a_miss_looks_at_no_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(compaction, "IDLE_SECONDS", LATER)
    write(tmp_path, range(count))
    store, other = TensorStore(tmp_path), TensorStore(tmp_path)
    assert whole(store, count) and whole(other, count)
    looks: list[Path] = []
    length = segments.file_length
    monkeypatch.setattr(segments, "file_length", lambda path: looks.append(path) or length(path))
    for number in range(count, count + 3):
        assert not store.find(SECTION, [str(number), "none"])
        store.add(SECTION, {str(number): value(number)})
    own = store.sections[SECTION].writers["float32.3"].name
    assert {path.name for path in looks} == {f"{own}.index"}
    assert whole(other, count + 3), "what others wrote is found all the same"
