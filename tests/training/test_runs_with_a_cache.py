"""Whole runs on what frozen parts gave: the same losses, whoever computed it, and nothing stale."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from anymodal import cli
from anymodal.io.segments import RECORD
from anymodal.io.tensor_store import TensorStore
from anymodal.training.precompute import fill_feature_cache
from tests.support.cached_runs import SIZE, Calls, losses_of, write
from tests.support.composed import write_model
from tests.support.together import run_together

TALKS = {"_target_": "tests.support.composed.talks"}
COUNT = 13  # of them, each with two media and a caption of its own


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


# ---- The same losses ---------------------------------------------------------------------------


@pytest.mark.parametrize("max_gb", [0.0, 8e-6], ids=["nothing kept", "a part of it kept"])
def test_a_run_without_room_trains_like_one_with_it(
    parts: Path, tmp_path: Path, max_gb: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = losses_of(write(parts, tmp_path, "held", data=TALKS))
    calls = Calls(monkeypatch)
    found = losses_of(write(parts, tmp_path, "run", data=TALKS, feature_cache={"max_gb": max_gb}))
    media = calls.take_counts()[0]
    assert media == 2 * 6 * SIZE if not max_gb else 2 * COUNT < media < 2 * 6 * SIZE
    # What comes again is computed in other company, which a kernel may round otherwise.
    once = COUNT // SIZE
    assert found[:once] == held[:once] and found == pytest.approx(held, rel=1e-5)


# ---- Nothing stale -----------------------------------------------------------------------------


def edit(weights: Path) -> None:
    """Change one value of a file of weights, whose size and time stay as they were."""
    before = weights.stat()
    tensors = load_file(weights)
    with open(weights, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        metadata = json.loads(file.read(size)).get("__metadata__")
    for tensor in tensors.values():
        if tensor.is_floating_point():
            tensor.view(-1)[0] += 1.0
    save_file(tensors, weights, metadata)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights.stat().st_size == before.st_size


@pytest.mark.parametrize("part", ["binder", "image/text_encoder"])
def test_a_part_that_was_edited_never_meets_what_it_gave_before(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_model(tmp_path / "own")
    kept = {"data": TALKS, "feature_cache": {"dir": str(tmp_path / "cache")}}
    first = write(own, tmp_path, "first", **kept)
    assert cli.main(["cache", str(first)]) == 0
    before = losses_of(first)
    (weights,) = (own.parent / part).glob("*.safetensors")
    edit(weights)
    wanted = losses_of(write(own, tmp_path, "wanted", data=TALKS))
    assert all(one != other for one, other in zip(before[1:], wanted[1:], strict=True))
    copy = shutil.copytree(tmp_path / "cache", tmp_path / "copy")
    assert (
        losses_of(write(own, tmp_path, "cold", **{**kept, "feature_cache": {"dir": str(copy)}}))
        == wanted
    )
    config, calls = write(own, tmp_path, "ahead", **kept), Calls(monkeypatch)
    assert cli.main(["cache", str(config)]) == 0
    media, captions, _ = calls.take_counts()
    assert (media, captions >= COUNT) == ((2 * COUNT, False) if part == "binder" else (0, True))
    assert losses_of(config) == wanted
    assert calls.take_counts() == (0, 0, 0)


# ---- Several processes, and many items ---------------------------------------------------------


def entries(cache: Path) -> Counter[tuple[str, bytes]]:
    """How often each part has each item, of files that hold whole rows and nothing else."""
    found: Counter[tuple[str, bytes]] = Counter()
    for index in cache.rglob("*.index"):
        records = np.fromfile(index, RECORD)
        assert index.stat().st_size == records.nbytes
        assert index.with_suffix(".data").stat().st_size % max(1, len(records)) == 0
        found.update((index.parent.name, record.tobytes()[:16]) for record in records)
    return found


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_commands_side_by_side_keep_every_item_once(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    config = write(parts, tmp_path, "run", data=TALKS, feature_cache={"dir": str(cache)}, steps=2)
    shares = ["cache", str(config), "--share"]
    run_together(lambda rank: cli.main([*shares, f"{rank + 1}/2"]), tmp_path / "said")
    found = entries(cache)
    # Of two encoders features and embeddings, which `anymodal embed` shares, and of captions.
    assert set(found.values()) == {1} and len(found) == 5 * 2 * SIZE
    held = losses_of(write(parts, tmp_path, "held", data=TALKS, steps=2))
    calls = Calls(monkeypatch)
    assert losses_of(config) == held
    assert calls.take_counts() == (0, 0, 0)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_that_fill_the_same_items_at_once_break_nothing(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    config = write(parts, tmp_path, "run", data=TALKS, feature_cache={"dir": str(cache)})
    run_together(lambda rank: fill_feature_cache(config), tmp_path / "said", count=3)
    found = entries(cache)
    assert len(found) == 5 * COUNT and max(found.values()) <= 3
    held = losses_of(write(parts, tmp_path, "held", data=TALKS))
    calls = Calls(monkeypatch)
    assert losses_of(config) == held
    assert calls.take_counts() == (0, 0, 0)


def test_a_million_entries_fit_in_forty_megabytes(tmp_path: Path) -> None:
    count, part, value = 200_000, "0" * 32, (torch.zeros(1, dtype=torch.uint8),)
    store = TensorStore(tmp_path)
    for first in range(0, count, 10_000):
        store.add(part, {str(n): value for n in range(first, first + 10_000)})
    del store
    tracemalloc.start()
    try:
        opened = TensorStore(tmp_path)
        assert len(opened.find(part, [str(n) for n in range(0, count, 1000)])) == 200
        own, most = tracemalloc.get_traced_memory()
        assert own < 40 * count, "bytes of memory, of a million entries 40 MB"
        assert most < 160 * count, "while it is read and sorted"
        for first in range(0, count, 20_000):
            opened.find(part, [str(n) for n in range(first, first + 500)])
        later, _ = tracemalloc.get_traced_memory()
        assert later < own + 100_000, "what was read isn't held"
    finally:
        tracemalloc.stop()
