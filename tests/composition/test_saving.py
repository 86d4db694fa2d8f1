"""Models are saved and opened again, wherever their parts come from, with adapters or without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.io import checkpoint
from anymodal.model import AnyModal
from tests.support.composed import model_config
from tests.support.saved_models import LORA, identical, unsettle


def config_with_colours(parts: Path) -> dict[str, Any]:
    config = model_config(parts.parent)
    config["modalities"]["image"]["encoder"] = {
        "_target_": "tests.support.own_encoders.Colours",
        "width": 5,
    }
    config["trusted_packages"] = ["tests"]
    return config


# ---- Parts without files -------------------------------------------------------------------------


@pytest.mark.parametrize("with_parts", [False, True])
def test_what_has_no_file_is_saved_with_the_model(
    parts: Path, tmp_path: Path, with_parts: bool
) -> None:
    model = AnyModal.compose(config_with_colours(parts))
    unsettle(model)
    assert not any(p.requires_grad for p in model.encoders["image"].parameters())
    model.save_pretrained(tmp_path / "a", with_parts)
    again = AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"])
    identical(model, again)
    again.save_pretrained(tmp_path / "b", with_parts)
    identical(model, AnyModal.from_pretrained(tmp_path / "b", trusted_packages=["tests"]))


@pytest.mark.parametrize("with_parts", [False, True])
def test_what_a_configuration_built_of_random_weights_is_saved(
    parts: Path, tmp_path: Path, with_parts: bool
) -> None:
    config = model_config(parts.parent)
    config["parts"]["movement"] = {
        "_target_": "anymodal.encoders.ImageBind.preset",
        "name": "nano",
        "modalities": ["imu"],
    }
    encoder = config["modalities"]["imu"]["encoder"]
    config["modalities"]["imu"]["encoder"] = {**encoder, "model": {"_part_": "movement"}}
    model = AnyModal.compose(config)
    model.save_pretrained(tmp_path / "a", with_parts)
    assert (tmp_path / "a" / "movement").is_dir() == with_parts
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))


def test_a_model_saved_over_its_own_parts_keeps_them(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts)
    model.save_pretrained(tmp_path / "a", with_parts=True)
    again = AnyModal.from_pretrained(tmp_path / "a")
    again.save_pretrained(tmp_path / "a")  # the old folder goes
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))


def test_what_has_files_stays_there(parts: Path, tmp_path: Path) -> None:
    AnyModal.compose(parts).save_pretrained(tmp_path / "a")
    names = checkpoint.load_weights(tmp_path / "a" / checkpoint.WEIGHTS)
    assert {name.split(".")[0] for name in names} == {"projection", "heads", "language"}
    assert not any(name.startswith("language.model") for name in names)


def test_weights_that_changed_without_training_are_saved(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts)
    with torch.no_grad():
        for part in (model.encoders["audio"], model.decoders["image"]):
            for weight in part.parameters():
                weight.mul_(1.1)
    model.save_pretrained(tmp_path / "a")
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))


def test_another_precision_changes_no_part(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts).to(torch.bfloat16)
    model.save_pretrained(tmp_path / "a")
    again = AnyModal.from_pretrained(tmp_path / "a")
    assert not (again.config or {}).get("trained")
    assert again.language.model.dtype == torch.float32
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name].to(value.dtype)), name


# ---- Adapters ------------------------------------------------------------------------------------


def adapted(config: Any, tmp_path: Path) -> AnyModal:
    model = AnyModal.compose(config)
    if model.language.lora is None:
        model.language.enable_lora(**LORA)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.3)
    return model


@pytest.mark.parametrize(
    ("where", "with_parts", "merged"),  # every two of them in every way
    [
        ("top", False, False),
        ("top", True, True),
        ("node", False, True),
        ("node", True, False),
        ("call", False, False),
        ("call", True, True),
    ],
)
def test_adapters_merged_or_not_are_saved_and_opened(
    parts: Path, tmp_path: Path, where: str, with_parts: bool, merged: bool
) -> None:
    config = model_config(parts.parent)
    if where == "top":
        config["lora"] = LORA
    elif where == "node":
        config["parts"]["words"]["lora"] = LORA
    model = adapted(config, tmp_path)
    if merged:
        model.language.merge_adapters()
    for name in "ab":
        model.save_pretrained(tmp_path / name, with_parts)
        again = AnyModal.from_pretrained(tmp_path / name)
        identical(model, again)
        assert (again.language.lora is None) == merged
        model = again


def test_adapters_by_a_pattern_are_saved_by_name(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(
        {**model_config(parts.parent), "lora": {"target_modules": r".*[qv]_proj"}}
    )
    assert all(n.endswith(("q_proj", "v_proj")) for n in model.language.lora["target_modules"])
    model.save_pretrained(tmp_path / "a")
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))
