"""Checkpoints of runs: damage is noticed, and the one before is gone on from."""

from __future__ import annotations

import os
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.io import checkpoint
from anymodal.io.checkpoint import CheckpointError
from anymodal.training.checkpoints import AtomicCheckpointIO, previous
from anymodal.training.run import train
from tests.distributed.test_processes import TOY as TOGETHER
from tests.distributed.test_processes import write as write_together
from tests.support.runs import assert_same, last, write
from tests.support.together import run_together


def state(step: int) -> dict[str, Any]:
    return {"global_step": step, "weights": torch.full((500,), float(step))}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    for step in (1, 2, 3):
        AtomicCheckpointIO().save_checkpoint(state(step), path)
    return path


def test_the_last_two_are_kept_and_are_archives_of_torch_s(saved: Path) -> None:
    assert sorted(file.name for file in saved.parent.iterdir()) == ["last.ckpt", "previous.ckpt"]
    for step, path in ((3, saved), (2, previous(saved))):
        assert_same(torch.load(path, weights_only=True, mmap=True), state(step))
        with zipfile.ZipFile(path) as archive:
            assert archive.comment.startswith(b"sha256:") and archive.testzip() is None


def test_any_flipped_bit_is_noticed(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, drawn = saved.read_bytes(), random.Random(0)
    places = [*range(0, 200, 7), *range(len(whole) - 100, len(whole), 3)]
    places += [drawn.randrange(len(whole)) for _ in range(200)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << drawn.randrange(8)
        saved.write_bytes(damaged)
        assert_same(AtomicCheckpointIO().load_checkpoint(saved), state(2))
        told = caplog.messages[-1]
        assert told.startswith(f"{saved} is damaged (its checksum is another")
        assert told.endswith(f"going on from {previous(saved)}, of step 2")


@pytest.mark.parametrize("kept", [0, 1, 30, 71, 2000, -1, -20, -71, -72, -93])
def test_a_cut_one_is_noticed(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    assert_same(AtomicCheckpointIO().load_checkpoint(saved), state(2))
    previous(saved).write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ValueError, match=r"last.ckpt is damaged .* and .*previous.ckpt is damaged"):
        AtomicCheckpointIO().load_checkpoint(saved)


def test_a_damaged_one_never_takes_the_place_of_a_whole_one(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1])
    checkpoints = AtomicCheckpointIO()
    checkpoints.load_checkpoint(saved)
    checkpoints.save_checkpoint(state(4), saved)
    assert_same(torch.load(previous(saved), weights_only=True), state(2))
    checkpoints.save_checkpoint(state(5), saved)
    assert_same(torch.load(previous(saved), weights_only=True), state(4))


def test_one_without_a_checksum_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(state(7), path)
    assert_same(AtomicCheckpointIO().load_checkpoint(path), state(7))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"last.ckpt is damaged"):
        AtomicCheckpointIO().load_checkpoint(path)


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_run_goes_on_from_the_one_before(
    tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    steady = {"steps": 6, "optimizer": {"schedule": "constant"}}
    train(write(tmp_path, "straight", **steady))
    path = write(tmp_path, "harmed", **steady)
    train(path, ["steps=4"])
    shutil.rmtree(tmp_path / "harmed" / "model")
    found = tmp_path / "harmed" / "checkpoints" / "last.ckpt"
    if harm == "gone":  # killed after the old one made room, before the new one took it
        os.replace(found, previous(found))
        left = found.with_name(".last.ckpt.1.tmp")
        left.touch()
    else:
        content = bytearray(found.read_bytes())
        content[len(content) // 2] ^= 4
        found.write_bytes(content if harm == "flipped" else content[:900])
    assert train(path) is not None
    step = 4 if harm == "gone" else 2
    assert f"going on from {previous(found)}, of step {step}" in caplog.text
    assert {file.name for file in found.parent.iterdir()} == {"last.ckpt", "previous.ckpt"}
    for key in ("state_dict", "optimizer_states", "batches"):
        assert_same(last(tmp_path / "straight")[key], last(tmp_path / "harmed")[key])


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_processes_go_on_from_the_same_one(tmp_path: Path, strategy: str) -> None:
    config = write_together(tmp_path, "run", **{**TOGETHER, "save_every": 2})
    together = [f"+trainer.strategy={strategy}"]

    def cut(rank: int) -> None:
        train(config, [*together, "steps=4"])

    run_together(cut, tmp_path / "first")
    shutil.rmtree(tmp_path / "run" / "model")
    found = tmp_path / "run" / "checkpoints" / "last.ckpt"
    content = bytearray(found.read_bytes())
    content[300] ^= 1
    found.write_bytes(content)
    said = run_together(lambda rank: train(config, together), tmp_path / "second")
    assert "previous.ckpt, of step 2" in said[0] and "previous" not in said[1]
    assert last(tmp_path / "run")["global_step"] == 6


# ---- Weights -----------------------------------------------------------------------------------


def test_a_flipped_bit_in_weights_is_noticed_or_harmless(tmp_path: Path) -> None:
    path, drawn = tmp_path / "model.safetensors", random.Random(0)
    weights = {
        "a": torch.randn(3, 4).bfloat16(),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3),
        "turned": torch.randn(2, 3).T,
    }
    checkpoint.save_weights(weights, path)

    def same() -> None:
        found = checkpoint.load_weights(path)
        assert_same({name: found[name] for name in weights}, weights)

    same()
    whole, noticed = path.read_bytes(), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << drawn.randrange(8)
        path.write_bytes(damaged)
        try:
            same()
        except CheckpointError:
            noticed += 1
    assert noticed > 0.9 * len(whole)
