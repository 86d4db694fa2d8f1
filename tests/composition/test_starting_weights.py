"""Models start from the weights of other models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.io.checkpoint import WEIGHTS, CheckpointError, save_weights, write_manifest
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


def write(folder: Path, **weights: torch.Tensor) -> str:
    folder.mkdir()
    save_weights(weights, folder / WEIGHTS)
    write_manifest(folder, {})
    return str(folder)


def reading(parts: Path) -> dict[str, Any]:
    """A configuration that makes nothing, and opens fast."""
    config = model_config(parts.parent)
    opened = {name: config["parts"][name] for name in ("binder", "words")}
    return {**config, "parts": opened, "modalities": {"imu": config["modalities"]["imu"]}}


def with_fusion(parts: Path, kind: str, **settings: Any) -> dict[str, Any]:
    return {**reading(parts), "fusion": {"_target_": f"anymodal.fusion.{kind}", **settings}}


def mlp_of(model: AnyModal, block: int) -> dict[str, torch.Tensor]:
    return model.language.blocks[block].mlp.state_dict()


def test_experts_begin_as_the_mlps_that_weights_give(parts: Path, tmp_path: Path) -> None:
    """To the bit, whichever of several folders has them."""
    first = AnyModal.compose(reading(parts))
    with torch.no_grad():
        for weight in first.language.model.parameters():
            weight.mul_(1.5)
    changed = {f"language.model.{n}": v for n, v in first.language.model.named_parameters()}
    config = with_fusion(parts, "SparseUpcycling", experts=3, every=1)
    for folders in ([write(tmp_path / "changed", **changed)], []):
        model = AnyModal.compose({**config, "weights": folders})
        source = first if folders else AnyModal.compose(reading(parts))
        for block, experts in model.fusion.experts.items():
            for expert in experts:
                for name, value in mlp_of(source, int(block)).items():
                    assert torch.equal(expert.state_dict()[name], value), (block, name)


def test_a_language_model_s_weights_leave_those_of_a_fusion(
    parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Which another folder has, in either order."""
    config = with_fusion(parts, "ModalityExperts")
    expert = "fusion.experts.0.mlp_up_proj.weight"
    first = AnyModal.compose(config)
    trained = first.state_dict()[expert] + 1
    dense = "language.model.model.layers.0.mlp.up_proj.weight"
    published = write(tmp_path / "published", **{expert: trained})
    words = write(tmp_path / "words", **{dense: first.state_dict()[dense] - 1})
    count = len(first.fusion.state_dict())
    for folders in ([published, words], [words, published]):
        caplog.clear()
        model = AnyModal.compose({**config, "weights": folders})
        assert torch.equal(model.state_dict()[expert], trained)
        assert f"of {count} weights of the fusion, {count - 1} aren't there" in caplog.text
    caplog.clear()
    first.save_pretrained(tmp_path / "whole")
    AnyModal.compose({**config, "weights": [str(tmp_path / "whole")]})
    assert "aren't there" not in caplog.text
