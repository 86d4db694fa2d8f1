"""The contract of a source, for every container: what an index means, stamps, exact resuming."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from anymodal.data.containers import side_files
from anymodal.data.conversations import Conversations
from anymodal.data.workers import Loader
from anymodal.training.batches import Batches
from anymodal.types import Message
from tests.support.data_sets import CAPTIONS, CONTAINERS, COUNT, PICTURES


@pytest.fixture(scope="module", params=CONTAINERS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str | Path:
    return CONTAINERS[request.param](tmp_path_factory.mktemp("data"))


def samples() -> list[list[Message]]:
    return [
        [Message("user", [image, "?"]), Message("assistant", text)]
        for image, text in zip(PICTURES, CAPTIONS, strict=True)
    ]


def test_an_index_means_the_same_sample(path: str | Path) -> None:
    for _ in range(2):  # the index is built, then read
        source = Conversations(path, ask="?")
        assert len(source) == COUNT
        expected = samples()
        for index in (3, 0, 6, 3):
            assert source[index] == expected[index]
        assert source[-1] == expected[-1]
        for index in (COUNT, -COUNT - 1):
            with pytest.raises(IndexError):
                source[index]


def test_stamps_tell_samples_apart_and_stay(path: str | Path) -> None:
    source, again = Conversations(path), Conversations(path)
    stamps = [source.stamp(index) for index in range(COUNT)]
    assert len({*stamps}) == COUNT
    assert stamps == [again.stamp(index) for index in range(COUNT)]
    assert source.stamp(-1) == stamps[-1]


def test_lengths_are_those_of_rows_where_they_are_texts(path: str | Path) -> None:
    source = Conversations(path)
    is_text = source.rows.container in ("JSON", "JSON Lines", "CSV")
    assert hasattr(source, "length") == is_text
    if is_text:
        assert all(20 < source.length(index) < 200 for index in range(COUNT))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_depends_on_the_seed_and_its_number(path: str | Path, workers: int) -> None:
    def batches(start: int) -> Iterator[list[list[Message]]]:
        source = Batches(Conversations(path, ask="?"), list, 3, seed=5, start=lambda: start)
        return iter(Loader(source, workers))

    straight = list(islice(batches(0), 6))
    assert list(islice(batches(4), 2)) == straight[4:], "as a run goes on"


def test_places_name_the_file(path: str | Path) -> None:
    source = Conversations(path, columns={"caption": "none"})
    with pytest.raises(ValueError, match=r"^\S+.*: there is no column 'none'") as error:
        source[COUNT - 1]
    assert source.rows.place(COUNT - 1) in str(error.value)


def test_nothing_needs_to_be_written_beside_the_data(
    path: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in Path(path).parent.rglob(side_files.SIDE_FOLDER):
        shutil.rmtree(folder)
    shutil.rmtree(Path(path) / side_files.SIDE_FOLDER, ignore_errors=True)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as on a disk that can't be written to
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Conversations(path, ask="?")[2] == samples()[2]
    assert not list(Path(path).parent.rglob(side_files.SIDE_FOLDER))
