"""Models put together in Python are saved and opened again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anymodal.encoders import ImageBindEncoder
from anymodal.language.model import LanguageModel
from anymodal.media import IMU
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.projection import LinearProjection
from tests.support import tiny
from tests.support.composed import model_config
from tests.support.own_encoders import Colours, PhotoColours, Trunk, Wrapped
from tests.support.saved_models import LORA, identical, in_python, unsettle


@pytest.mark.parametrize("with_parts", [False, True])
def test_a_model_put_together_in_python_is_saved(
    parts: Path, tmp_path: Path, with_parts: bool
) -> None:
    model = in_python(parts, history_turns=3, history_notice="(more)", media_first=True)
    unsettle(model)
    model.save_pretrained(tmp_path / "a", with_parts)
    again = AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"])
    identical(model, again)
    assert again.history_notice == "(more)" and again.media_first
    assert again.history_turns == 3 and again.modalities["image"].sampling == {
        "steps": 2,
        "guidance": 2.0,
    }
    assert again.encoders["imu"].model is again.encoders["audio"].model
    assert again.decoders["image"].pipeline.vae.use_slicing
    assert model.config is None
    fresh = AnyModal.compose({**again.config, "trusted_packages": ["tests"]})
    assert list(fresh.modalities) == list(model.modalities)


def test_parts_of_random_weights_are_written_beside_it(tmp_path: Path) -> None:
    model = tiny.compose()
    model.language.enable_lora(**LORA)
    model.save_pretrained(tmp_path / "a")
    again = AnyModal.from_pretrained(tmp_path / "a")
    identical(model, again)
    assert again.encoders["image"].model is again.encoders["imu"].model


def test_the_precision_of_such_parts_comes_back(tmp_path: Path) -> None:
    model = tiny.compose()
    model.decoders["image"].to(torch.bfloat16)
    model.language.model.to(torch.bfloat16)
    model.save_pretrained(tmp_path / "a")
    again = AnyModal.from_pretrained(tmp_path / "a")
    for part in (again.decoders["image"], again.language.model):
        assert {p.dtype for p in part.parameters()} == {torch.bfloat16}


def test_merged_in_python_too(parts: Path, tmp_path: Path) -> None:
    model = in_python(parts)
    model.language.enable_lora(**LORA)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.3)
    model.language.merge_adapters()
    model.save_pretrained(tmp_path / "a")
    identical(model, AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"]))


def test_a_part_that_knows_nothing_is_named(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts)
    encoders = {"picture": Wrapped(Trunk(6))}
    projection = LinearProjection(widths={"picture": 6}, output_width=tiny.WIDTH, num_tokens=2)
    language = LanguageModel.from_pretrained(str(parts.parent / "lm"))
    model = AnyModal(language, projection, {"picture": Modality(encoders["picture"])})
    with pytest.raises(
        ValueError, match=r"picture-encoder is a Wrapped .*'trunk', a Trunk, .*AnyModal"
    ):
        model.save_pretrained(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_class_within_a_function_is_refused(parts: Path, tmp_path: Path) -> None:
    class Local(Colours):
        pass

    model = AnyModal.compose(parts)
    language = LanguageModel.from_pretrained(str(parts.parent / "lm"))
    projection = LinearProjection(widths={"picture": 6}, output_width=tiny.WIDTH, num_tokens=2)
    model = AnyModal(language, projection, {"picture": Modality(Local())})
    with pytest.raises(ValueError, match="a class within a function"):
        model.save_pretrained(tmp_path / "a")


def test_an_added_encoder_that_shares_a_trunk_goes_on_sharing_it(
    parts: Path, tmp_path: Path
) -> None:
    config = model_config(parts.parent)
    binder = config["parts"].pop("binder")
    config["modalities"].pop("imu")
    config["modalities"].pop("audio")
    config["modalities"]["image"]["encoder"]["model"] = binder  # inline
    model = AnyModal.compose(config)
    model.add_modality("moves", Modality(ImageBindEncoder(model.encoders["image"].model, "imu")))
    model.save_pretrained(tmp_path / "a")
    again = AnyModal.from_pretrained(tmp_path / "a")
    identical(model, again)
    assert again.encoders["image"].model is again.encoders["moves"].model
    assert again.chat([tiny.felt(), "what?"], max_new_tokens=2) is not None
    assert IMU in again.prompts.encoders


def test_an_encoder_that_cannot_tell_is_told_of(parts: Path, tmp_path: Path) -> None:
    for model in (AnyModal.compose(parts), in_python(parts)):
        other = PhotoColours(6)
        vars(other).pop("_construction")
        how = {"_target_": "tests.support.own_encoders.PhotoColours", "width": 6}
        model.add_modality("photo", Modality(other), encoder=how)
        model.save_pretrained(tmp_path / "a")
        identical(model, AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"]))


def test_a_configuration_that_opens_files_may_come_beside_parts_without_any(
    tmp_path: Path,
) -> None:
    model = tiny.compose()
    model.config = model_config(tmp_path)
    model.save_pretrained(tmp_path / "a")
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))
