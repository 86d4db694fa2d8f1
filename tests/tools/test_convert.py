"""Published weights become a folder: checked, without running code, licence and all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anymodal import cli
from anymodal.encoders import ImageBind, ImageBindEncoder, load_tokenizer
from anymodal.encoders.imagebind import config as imagebind_config
from anymodal.encoders.imagebind.config import trunk_config
from anymodal.encoders.imagebind.convert import LICENCE, convert_imagebind
from anymodal.io.checkpoint import CheckpointError, read_manifest
from tests.support.imagebind_models import TRUNKS

LETTERS = 192
"""Ids of the fixture `clip`: twice 94 letters, and four more."""


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset that takes no gigabytes, beside the shipped ones."""
    fields = {**TRUNKS, "text": {**TRUNKS["text"], "vocab_size": LETTERS}}
    trunks = {name: trunk_config(name, config) for name, config in fields.items()}
    monkeypatch.setitem(imagebind_config.PRESETS, "tiny", (24, trunks))


@pytest.fixture
def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return ImageBind.preset("tiny").state_dict()


@pytest.fixture
def published(tmp_path: Path, weights: dict[str, Tensor]) -> Path:
    torch.save(weights, tmp_path / "published.pth")
    return tmp_path / "published.pth"


def run(*argv: Any) -> int:
    return cli.main([str(item) for item in ("convert", "imagebind", *argv)])


def test_the_folder_has_the_weights_and_their_licence(
    published: Path,
    weights: dict[str, Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert run(published, tmp_path / "out") == 0
    assert LICENCE in capsys.readouterr().out
    model = ImageBind.from_pretrained(tmp_path / "out")
    assert f"{LICENCE}: not for commercial use" in caplog.text
    assert all(torch.equal(model.state_dict()[name], value) for name, value in weights.items())
    origin = read_manifest(tmp_path / "out")["imagebind"]
    assert origin == {
        "preset": "tiny",
        "file": "published.pth",
        "sha256": hashlib.sha256(published.read_bytes()).hexdigest(),
        "licence": LICENCE,
        "commercial_use": False,
    }


def test_the_licence_goes_where_the_weights_go(published: Path, tmp_path: Path) -> None:
    origin = convert_imagebind(published, tmp_path / "out")
    model = ImageBind.from_pretrained(tmp_path / "out", modalities=["imu"])
    model.save_pretrained(tmp_path / "copy")
    assert ImageBind.from_pretrained(tmp_path / "copy").origin == origin
    assert ImageBindEncoder(model, "imu").metadata()["commercial_use"] is False
    free = ImageBindEncoder(ImageBind.preset("tiny"), "imu")
    assert "commercial_use" not in free.metadata()


def test_the_older_file_format_is_read_too(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert convert_imagebind(tmp_path / "old.pth", tmp_path / "out")["preset"] == "tiny"


def test_a_tokenizer_lies_beside_the_weights(
    published: Path,
    clip: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(published, tmp_path / "out", "--tokenizer", clip.name_or_path) == 0
    assert "no tokenizer" not in capsys.readouterr().out
    beside = load_tokenizer(tmp_path / "out" / "tokenizer")
    assert beside("red")["input_ids"] == clip("red")["input_ids"]


@pytest.mark.parametrize("name", ["nowhere", "short"])
def test_a_tokenizer_that_does_not_fit_is_refused(
    name: str,
    published: Path,
    clip: Any,
    tmp_path: Path,
) -> None:
    if name == "short":
        clip.save_pretrained(tmp_path / "short")
        config = tmp_path / "short" / "tokenizer_config.json"
        told = json.loads(config.read_text())
        config.write_text(json.dumps({**told, "eos_token": "<|startoftext|>"}))
    with pytest.raises(ValueError, match="give CLIP's|no tokenizer at"):
        convert_imagebind(published, tmp_path / "out", tmp_path / name)
    assert not (tmp_path / "out").exists()


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"weight": Evil()}, "could run code"),
        (b"no checkpoint at all", "no torch checkpoint|damaged"),
        (b"", "no torch checkpoint|damaged"),
        ({"weight": 1}, "no mapping of names to tensors"),
        ([torch.zeros(1)], "no mapping of names to tensors"),
        ({"weight": torch.zeros(1)}, "only in the checkpoint: weight"),
        ("half", "damaged"),
    ],
)
def test_other_files_are_refused(
    content: Any, says: str, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "file.pth"
    if content == "half":
        whole = published.read_bytes()
        content = whole[: len(whole) // 2]
    if isinstance(content, bytes):
        source.write_bytes(content)
    else:
        torch.save(content, source)
    with pytest.raises(CheckpointError, match=says):
        convert_imagebind(source, tmp_path / "out")
    assert not (tmp_path / "harmed").exists() and not (tmp_path / "out").exists()


def test_differences_are_those_from_the_nearest_preset(
    weights: dict[str, Tensor], tmp_path: Path
) -> None:
    del weights["modality_heads.imu.0.bias"]
    weights["modality_heads.audio.2.weight"] = torch.zeros(25, 16)
    torch.save(weights, tmp_path / "other.pth")
    with pytest.raises(CheckpointError) as caught:
        convert_imagebind(tmp_path / "other.pth", tmp_path / "out")
    text = str(caught.value)
    assert "preset 'tiny'" in text and "only in the model: modality_heads.imu.0.bias" in text
    assert "modality_heads.audio.2.weight: (25, 16) saved, (24, 16) in the model" in text


def test_a_folder_of_something_else_is_left_alone(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").touch()
    assert run(published, tmp_path / "photos") == 2
    assert "name another folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.txt"]
    assert run(tmp_path / "none.pth", tmp_path / "out") == 2
    assert "none.pth" in capsys.readouterr().err
