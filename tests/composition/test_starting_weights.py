"""Models start from the weights of other models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anymodal.io.checkpoint import CheckpointError
from anymodal.model import AnyModal
from tests.support.composed import model_config
from tests.support.saved_models import identical


def test_a_model_starts_from_the_folder_of_another_that_reads(parts: Path, tmp_path: Path) -> None:
    config = model_config(parts.parent)
    config["modalities"].pop("audio")  # reads less, and makes less
    config["modalities"]["image"]["encoder"] = {"_target_": "tests.support.own_encoders.Colours"}
    config["trusted_packages"] = ["tests"]
    first = AnyModal.compose(config)
    first.save_pretrained(tmp_path / "first")
    more = model_config(parts.parent)
    more["modalities"] = {
        "audio": more["modalities"]["audio"],
        "imu": more["modalities"]["imu"],
        "image": config["modalities"]["image"],
    }
    more |= {"weights": [str(tmp_path / "first")], "trusted_packages": ["tests"]}
    second = AnyModal.compose(more)
    for name in (*first.signals.names,):
        rows = [m.language.rows[m.signals.names.index(name)] for m in (first, second)]
        assert torch.equal(*rows), name
    old, new = first.state_dict(), second.state_dict()
    shared = [n for n in old if n in new and n != "language.rows"]
    assert any(n.startswith("encoders.image") for n in shared)
    assert all(torch.equal(old[n], new[n]) for n in shared)
    second.save_pretrained(tmp_path / "second")
    identical(second, AnyModal.from_pretrained(tmp_path / "second", trusted_packages=["tests"]))


def test_a_folder_that_trained_a_part_is_started_from(parts: Path, tmp_path: Path) -> None:
    first = AnyModal.compose(parts)
    with torch.no_grad():
        for weight in [*first.decoders["image"].parameters(), *first.encoders["imu"].parameters()]:
            weight.mul_(1.2)
    first.save_pretrained(tmp_path / "first")
    config = model_config(parts.parent)
    order = ("imu", "audio", "image")  # shared weights stand under another name first
    config["modalities"] = {name: config["modalities"][name] for name in order}
    config["weights"] = [str(tmp_path / "first")]
    second = AnyModal.compose(config)
    for name, value in first.state_dict().items():
        if name != "language.rows":
            assert torch.equal(value, second.state_dict()[name]), name


def test_what_the_other_model_has_and_this_one_lacks_is_named(parts: Path, tmp_path: Path) -> None:
    AnyModal.compose(parts).save_pretrained(tmp_path / "first")
    config = model_config(parts.parent)
    config["modalities"].pop("imu")
    config["weights"] = [str(tmp_path / "first")]
    with pytest.raises(
        CheckpointError, match=r"only in the checkpoint: language.rows of <\|imu\|>"
    ):
        AnyModal.compose(config)
