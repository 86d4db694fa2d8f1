"""Files that are whole or absent, and checkpoints that say why they don't fit."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch

from anymodal.io import checkpoint
from anymodal.io.checkpoint import CheckpointError, replacing, replacing_folder
from tests.support.composed import small_disk

BIG = torch.zeros(100_000)  # 400 kB
LIMIT = 50_000


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_takes_the_old_one_s_place(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text and names(path.parent) == {"file"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError, RuntimeError])
def test_a_failure_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises((error, OSError)), replacing(path) as temporary:
        temporary.write_text("ne")
        raise error("in the middle")
    assert path.read_text() == "old" and names(tmp_path) == {"file"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError, RuntimeError])
def test_a_failure_keeps_the_old_folder(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "model"
    with replacing_folder(path) as temporary:
        (temporary / "a").write_text("old")
    with pytest.raises((error, OSError)), replacing_folder(path) as temporary:
        (temporary / "b").write_text("new")
        raise error("in the middle")
    assert names(path) == {"a"} and names(tmp_path) == {"model"}
    with replacing_folder(path) as temporary:
        (temporary / "b").write_text("new")
    assert names(path) == {"b"} and names(tmp_path) == {"model"}


def test_a_full_disk_keeps_the_old_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    checkpoint.save_weights({"a": torch.ones(3)}, path)
    with small_disk(LIMIT), pytest.raises(OSError, match=r"could not write .*untouched"):
        checkpoint.save_weights({"a": BIG}, path)
    assert torch.equal(checkpoint.load_weights(path)["a"], torch.ones(3))
    assert names(tmp_path) == {"model.safetensors"}


def test_a_full_disk_is_called_so_whatever_torch_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        with small_disk(LIMIT), replacing(tmp_path / "a.pt") as temporary:
            torch.save(BIG, temporary)

    with pytest.raises(OSError, match="could not write .*untouched") as raised:
        write()  # which has room enough, and may write no more
    assert raised.value.errno != errno.ENOSPC
    full = shutil.disk_usage(tmp_path)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(OSError, match="No space left on device; what was there"):
        write()


def test_a_full_disk_keeps_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with replacing_folder(path) as folder:
        checkpoint.save_weights({"a": torch.ones(3)}, folder / "w")
    with small_disk(LIMIT), pytest.raises(OSError, match=r"could not write .*untouched"):
        with replacing_folder(path) as folder:
            checkpoint.save_weights({"a": BIG}, folder / "w")
    assert torch.equal(checkpoint.load_weights(path / "w")["a"], torch.ones(3))
    assert names(tmp_path) == {"model"}


def test_damaged_and_missing_weights_are_told(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(CheckpointError, match="no weights at"):
        checkpoint.load_weights(path)
    checkpoint.save_weights({"a": torch.arange(9.0)}, path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:4], whole[:-1], whole + b"x", b"\x80\x02}q\x00.", b"{}" * 30):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="truncated or not a safetensors file"):
            checkpoint.load_weights(path)


def test_differences_of_weights_are_readable() -> None:
    saved = {"same": torch.zeros(2), "shape": torch.zeros(2, 3), "old": torch.zeros(1)}
    wanted = {"same": torch.ones(2), "shape": torch.zeros(3, 2), "new": torch.zeros(1)}
    checkpoint.compare_shapes(saved, saved, "here")
    with pytest.raises(CheckpointError) as caught:
        checkpoint.compare_shapes(saved, wanted, "here")
    for part in (
        "here does not fit",
        "only in the checkpoint: old",
        "only in the model: new",
        "shape: (2, 3) saved, (3, 2) in the model",
    ):
        assert part in str(caught.value)
    many = {f"w{index}": torch.zeros(1) for index in range(30)}
    with pytest.raises(CheckpointError, match="and 22 more"):
        checkpoint.compare_shapes(many, {}, "here")


def test_differences_of_parts_are_readable(tmp_path: Path) -> None:
    parts = {"language": {"tokenizer": "abc", "width": 3}, "decoder.x": {"length": (1, 2)}}
    checkpoint.write_manifest(tmp_path, parts)
    saved = checkpoint.read_manifest(tmp_path)
    checkpoint.compare_parts(saved, parts, "here")
    moved = {**parts, "language": {**parts["language"], "source": {"name": "elsewhere"}}}
    checkpoint.compare_parts(saved, moved, "here")
    other = {"language": {"tokenizer": "abd", "width": 3}}
    with pytest.raises(CheckpointError) as caught:
        checkpoint.compare_parts(saved, other, "here")
    assert "language.tokenizer: 'abc' saved, 'abd' now" in str(caught.value)
    assert "decoder.x.length: [1, 2] saved, None now" in str(caught.value)
    assert "width" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"parts": 3}', '{"parts": {"a": 1}}', "\0"])
def test_a_damaged_manifest_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        checkpoint.read_manifest(tmp_path)
    (tmp_path / checkpoint.MANIFEST).write_text(text)
    with pytest.raises(CheckpointError, match="not a readable manifest"):
        checkpoint.read_manifest(tmp_path)


def test_a_manifest_is_plain_json(tmp_path: Path) -> None:
    checkpoint.write_manifest(tmp_path, {"language": {"width": 3}})
    found = json.loads((tmp_path / checkpoint.MANIFEST).read_text())
    assert found["format"] == 1 and found["parts"] == {"language": {"width": 3}}
