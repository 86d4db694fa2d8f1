"""Digests are known by the stamps of files, beside the cache, for every process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from anymodal.io import digests
from anymodal.io.feature_cache import CacheKey, FeatureCache
from anymodal.media import Image, Limits
from tests.support.random_media import pixels
from tests.support.real_files import settle

CPU = torch.device("cpu")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Image(pixels(8, 8, 3)).save(tmp_path / "a.png")


@pytest.mark.parametrize("disk", [False, True])
def test_what_was_hashed_once_is_known(
    path: Path, disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(monkeypatch)
    cache = FeatureCache(folder=path.parent / "cache" if disk else None)
    first = Image.defer(path)
    cache.read_digests([first])
    assert first.undecoded
    digest = first.digest()
    cache.keep_digests([first, first])
    if disk:
        cache = FeatureCache(folder=path.parent / "cache")
    again, narrower = Image.defer(path), Image.defer(path, limits=Limits(max_pixels=64))
    cache.read_digests([again, Image(pixels(2, 2, 3)), again, narrower])
    assert not again.decoded and again.digest() == digest and not again.decoded
    assert narrower.undecoded, "other limits may give other content"
    Image(pixels(8, 8, 3)).save(path)
    changed = Image.defer(path)
    cache.read_digests([changed])
    assert changed.undecoded and changed.digest() == Image.load(path).digest() != digest


def test_a_file_rewritten_within_a_tick_is_hashed_again(path: Path) -> None:
    """Equal in size and times, as on a disk that counts in seconds: nothing of it is kept."""
    cache = FeatureCache(folder=path.parent / "cache")
    first = Image.defer(path)
    first.digest()
    cache.keep_digests([first])
    again = Image.defer(path)
    cache.read_digests([again])
    assert again.undecoded


def test_other_code_that_decodes_knows_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch)
    cache = FeatureCache(folder=path.parent / "cache")
    first = Image.defer(path)
    first.digest()
    cache.keep_digests([first])
    monkeypatch.setattr(digests, "library_versions", lambda: {"pillow": "another"})
    digests._section.cache_clear()
    again = Image.defer(path)
    cache.read_digests([again])
    digests._section.cache_clear()
    assert again.undecoded


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_that_are_killed_leave_what_is_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [path, *(Image(pixels(8, 8, 3)).save(path.with_name(f"{n}.png")) for n in range(30))]
    settle(monkeypatch)
    folder = path.parent / "cache"

    def hash_all(rank: int) -> int:
        cache = FeatureCache(folder=folder)
        for each in paths:
            medium = Image.defer(each)
            medium.digest()
            cache.keep_digests([medium])
        if rank:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    for rank in range(3):
        if (child := os.fork()) == 0:
            os._exit(hash_all(rank))
        if rank == 1:
            time.sleep(0.01)  # in the middle of its work
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for index in folder.rglob("*.index"):
        with index.open("ab") as file:
            file.write(b"torn")
    cache, media = FeatureCache(folder=folder), [Image.defer(each) for each in paths]
    cache.read_digests(media)
    assert not any(medium.undecoded for medium in media)
    assert [m.digest() for m in media] == [Image.load(each).digest() for each in paths]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("disk", [False, True])
def test_a_worker_sees_what_its_parent_keeps_later(
    path: Path, disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(monkeypatch)
    cache = FeatureCache(folder=path.parent / "cache" if disk else None)
    key = CacheKey("features", (torch.nn.Linear(1, 1).requires_grad_(False),), dict)
    assert cache.holds(key, ["a"]) == [False], "nobody has opened it"
    cache.open(key, CPU)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.read(reading, 1)
        medium = Image.defer(path)
        cache.read_digests([medium])
        known = not medium.undecoded
        os._exit(known and cache.holds(key, ["a", None, "b"]) == [True, False, False])
    cache.get_or_compute(key, ["a"], lambda _: [torch.ones(1, 4)], CPU)
    medium = Image.defer(path)
    medium.digest()
    cache.keep_digests([medium])
    os.write(writing, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert cache.holds(key, ["a"]) == [True]


def test_notes_of_what_is_in_memory_end_with_it() -> None:
    cache = FeatureCache()
    folder = cache.notes.folder
    assert folder.is_dir()
    del cache
    assert not folder.exists()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_the_midst_of_a_read_reads_on(tmp_path: Path) -> None:
    """As where workers are started while a thread prefetches."""
    store = FeatureCache(folder=tmp_path).notes
    store.add("part", {"a": (torch.ones(3),)})
    with store.lock:
        if (child := os.fork()) == 0:
            signal.alarm(20)
            os._exit(
                store.holds("part", ["a", "b"]) != [True, False]
                or "a" not in store.find("part", ["a"])
            )
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
