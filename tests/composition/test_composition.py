"""Models from configurations and folders, and back."""

from __future__ import annotations

import copy
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from anymodal import composition
from anymodal.config import ConfigError
from anymodal.io import checkpoint
from anymodal.io.checkpoint import CheckpointError
from anymodal.language.model import LanguageModel
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.training.objectives import Dialogue
from anymodal.types import Message, Target
from tests.support import tiny
from tests.support.composed import model_config, small_disk, write_model
from tests.support.tiny import conversations

LORA = {"r": 2, "alpha": 4, "dropout": 0.0}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of parts and the configuration of a model of them."""
    return write_model(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def saved(parts: Path) -> Path:
    """A model folder beside the parts."""
    torch.manual_seed(1)
    model = AnyModal.compose(parts)
    disturb(model)
    model.save_pretrained(parts.parent / "saved")
    return parts.parent / "saved"


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of the model folder, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "saved"))


def disturb(model: AnyModal) -> None:
    """Give everything that a composition owns weights of its own."""
    with torch.no_grad():
        for weight in composition.own_weights(model).values():
            weight.add_(torch.randn_like(weight), alpha=0.1)


def outputs(model: AnyModal) -> list[torch.Tensor]:
    """Logits, soft tokens and conditioning of conversations with every kind of part."""
    batch = model.prompts.lay_out(conversations()[-4:] + conversations()[1:3])
    with torch.no_grad():
        embeds = model.embed(batch.prompts, batch.packed.ids, batch.packed.places)
        hidden = model.language(embeds, positions=batch.packed.positions)
        made = [head(hidden[:, :4], embeds[:, :4]).embeds for head in model.heads.values()]
        captions = [decoder.embed_captions(["a ball"])[0] for decoder in model.decoders.values()]
    return [embeds, model.language.logits(hidden).detach(), *made, *captions]


def same(first: AnyModal, second: AnyModal) -> bool:
    # Weights that lie elsewhere in memory may be summed in another order.
    pairs = zip(outputs(first), outputs(second), strict=True)
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in pairs)


def edited(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / checkpoint.CONFIG
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))


# ---- Composing ---------------------------------------------------------------------------------


def test_a_composed_model_shares_parts_and_is_frozen_where_files_hold_the_weights(
    parts: Path,
) -> None:
    model = AnyModal.compose(parts)
    assert model.encoders["image"].model is model.encoders["imu"].model
    training = {n for n, p in model.named_parameters() if p.requires_grad}
    assert training == set(composition.own_weights(model))
    assert {name.split(".")[0] for name in training} == {"projection", "heads", "language"}
    assert not model.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(modality={}), "a model has no 'modality'; did you mean 'modalities'"),
        (lambda c: c.pop("language"), "needs 'language'"),
        (lambda c: c.pop("projection"), "reads image, audio, imu needs a 'projection'"),
        (lambda c: c["modalities"]["imu"].update(encodr={}), "imu has no 'encodr'; did you mean"),
        (lambda c: c["modalities"].update(imu=None), "imu must hold an encoder"),
        (lambda c: c["modalities"]["image"].pop("head"), "image has a decoder, so it needs"),
        (
            lambda c: c["modalities"]["image"].update(num_signal_tokens=0),
            "image has a decoder, so it needs",
        ),
        (
            lambda c: c["modalities"]["image"].update(num_signal_tokens="4"),
            "num_signal_tokens must be int, not '4'",
        ),
        (
            lambda c: c["modalities"]["image"].update(num_signal_tokens={"_part_": "x.Y"}),
            "must be int",
        ),
        (lambda c: c["modalities"]["image"]["head"].update(depth=1), "takes no 'depth'"),
        (lambda c: c["modalities"]["imu"]["encoder"].pop("modality"), "needs modality"),
        (lambda c: c["projection"].update(num_tokens="3"), "num_tokens must be int, not '3'"),
        (lambda c: c["projection"].update(token=3), "takes no 'token'; did you mean 'num_tokens'"),
        (lambda c: c["parts"]["binder"].pop("folder"), r"parts\.binder .* needs folder"),
        (lambda c: c.update(language={"_part_": "word"}), "did you mean 'words'"),
        (lambda c: c.update(lora={"rank": 4}), "lora takes no 'rank'"),
        (lambda c: c["parts"].update(evil={"_target_": "os.getcwd"}), "outside the allowed"),
    ],
)
def test_what_cannot_work_is_found_before_anything_is_built(
    parts: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any], message: str
) -> None:
    from anymodal.encoders import ImageBind
    from anymodal.language.model import LanguageModel

    config = copy.deepcopy(model_config(parts.parent))
    change(config)
    for cls in (ImageBind, LanguageModel):
        monkeypatch.setattr(cls, "__init__", lambda *args, **kwargs: pytest.fail("was built"))
    with pytest.raises(ConfigError, match=message):
        AnyModal.compose(config)


def test_a_users_own_configuration_says_whom_it_trusts(parts: Path, tmp_path: Path) -> None:
    config = model_config(parts.parent)
    config["parts"]["words"] = {"_target_": "tests.support.composed.Shared"}
    with pytest.raises(ConfigError, match="outside the allowed packages"):
        composition.validate_model(config)
    composition.validate_model(config, ["tests"])


# ---- Folders -----------------------------------------------------------------------------------


def test_a_saved_model_comes_back(parts: Path, saved: Path) -> None:
    first, second = AnyModal.from_pretrained(saved), AnyModal.from_pretrained(saved)
    assert same(first, second)
    torch.manual_seed(1)
    fresh = AnyModal.compose(parts)
    disturb(fresh)
    assert same(first, fresh)
    files = {path.name for path in saved.iterdir()}
    assert files == {checkpoint.CONFIG, checkpoint.WEIGHTS, checkpoint.MANIFEST}
    weights = checkpoint.load_weights(saved / checkpoint.WEIGHTS)
    assert set(weights) == set(composition.own_weights(first))


def test_a_folder_with_its_parts_may_be_moved(saved: Path, tmp_path: Path) -> None:
    model = AnyModal.from_pretrained(saved)
    model.save_pretrained(tmp_path / "whole", with_parts=True)
    moved = tmp_path / "elsewhere" / "model"
    moved.parent.mkdir()
    (tmp_path / "whole").rename(moved)
    text = (moved / checkpoint.CONFIG).read_text()
    assert str(saved.parent) not in text and str(tmp_path) not in text
    again = AnyModal.from_pretrained(moved)
    assert same(model, again)
    again.save_pretrained(tmp_path / "third", with_parts=True)
    shutil.rmtree(moved)
    assert same(model, AnyModal.from_pretrained(tmp_path / "third"))


def test_adapters_are_saved_beside_a_clean_base(saved: Path, tmp_path: Path) -> None:
    torch.manual_seed(2)
    model = AnyModal.from_pretrained(saved, lora=LORA)
    plain = outputs(AnyModal.from_pretrained(saved))
    assert torch.allclose(outputs(model)[1], plain[1]), "fresh adapters change nothing"
    disturb(model)
    assert (outputs(model)[1] - plain[1]).abs().max() > 0.01
    model.save_pretrained(tmp_path / "a")
    model.save_pretrained(tmp_path / "b", with_parts=True)
    for name in "ab":
        assert same(model, AnyModal.from_pretrained(tmp_path / name)), name
    base = checkpoint.load_weights(tmp_path / "b" / "words" / "model.safetensors")
    assert not [name for name in base if "lora_" in name or "base_layer" in name]
    again = AnyModal.from_pretrained(tmp_path / "a", lora={"r": 7})
    assert same(model, again), "a model that has adapters keeps them"


@pytest.mark.parametrize("with_parts", [False, True])
def test_parts_that_a_stage_changed_are_saved_for_good(
    saved: Path, tmp_path: Path, with_parts: bool
) -> None:
    model = AnyModal.from_pretrained(saved)
    for part in (model.language.model, model.encoders["image"]):
        part.requires_grad_(True)
        with torch.no_grad():
            for weight in part.parameters():
                weight.add_(0.1)
    model.save_pretrained(tmp_path / "a", with_parts)
    second = AnyModal.from_pretrained(tmp_path / "a")
    assert same(model, second)
    second.save_pretrained(tmp_path / "b")  # after a stage that left them alone
    assert same(model, AnyModal.from_pretrained(tmp_path / "b"))


def test_parts_that_nothing_names_are_left_out(parts: Path, tmp_path: Path) -> None:
    config = model_config(parts.parent)
    config["parts"]["unused"] = config["parts"]["binder"]
    model = AnyModal.compose(config)
    model.save_pretrained(tmp_path / "x", with_parts=True)
    assert not (tmp_path / "x" / "unused").exists()
    assert same(model, AnyModal.from_pretrained(tmp_path / "x"))


def test_a_full_disk_keeps_the_old_model(saved: Path, folder: Path) -> None:
    model = AnyModal.from_pretrained(saved)
    before = (folder / checkpoint.WEIGHTS).read_bytes()
    with small_disk(3000), pytest.raises(OSError, match="untouched"):
        model.save_pretrained(folder)
    assert (folder / checkpoint.WEIGHTS).read_bytes() == before
    assert same(model, AnyModal.from_pretrained(folder))
    assert [path.name for path in folder.parent.iterdir()] == ["saved"]


# ---- Folders that don't fit --------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://host/model", "https://host/model", "s3://bucket/model"])
def test_addresses_are_refused(url: str) -> None:
    with pytest.raises(CheckpointError, match="from folders and the hub, not from"):
        AnyModal.from_pretrained(url)


def test_an_unknown_model_has_its_neighbour_suggested(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, saved: Path
) -> None:
    monkeypatch.setattr(sys.modules[composition.find.__module__], "SHIPPED", tmp_path)
    with pytest.raises(CheckpointError, match="no model at nan0"):
        AnyModal.from_pretrained("nan0")
    shutil.copytree(saved, tmp_path / "nano")
    with pytest.raises(CheckpointError, match="did you mean 'nano'"):
        AnyModal.from_pretrained("nan0")
    assert composition.find("nano") == tmp_path / "nano"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (checkpoint.WEIGHTS, "no weights at"),
        (checkpoint.MANIFEST, "no manifest"),
        (checkpoint.CONFIG, "no model at"),
    ],
)
def test_a_missing_file_is_named(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=message):
        AnyModal.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (checkpoint.WEIGHTS, "truncated"),
        (checkpoint.MANIFEST, "not a readable manifest"),
        (checkpoint.CONFIG, "at the top|not valid YAML"),
    ],
)
def test_a_damaged_file_is_named(folder: Path, name: str, message: str) -> None:
    path = folder / name
    for damaged in (b"", path.read_bytes()[:3] if name != checkpoint.CONFIG else b"a: [", b"\xff"):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=message):
            AnyModal.from_pretrained(folder)


def _widen(weights: dict[str, Any]) -> None:
    weights["language.rows"] = torch.zeros(1, 1)
    weights["stray"] = torch.zeros(1)
    weights.pop("heads.image.model.bias")


def test_weights_that_do_not_fit_are_told(folder: Path) -> None:
    path = folder / checkpoint.WEIGHTS
    weights = checkpoint.load_weights(path)
    _widen(weights)
    checkpoint.save_weights(weights, path)
    with pytest.raises(CheckpointError) as caught:
        AnyModal.from_pretrained(folder)
    for part in ("language.rows: (1, 1) saved", "checkpoint: stray", "model: heads.image.model"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("language", "class", "GPT2"),
        ("decoder.image", "pipeline", "FluxPipeline"),
        ("encoder.imu", "config", "0"),
    ],
)
def test_another_part_than_the_one_trained_with_is_told(
    folder: Path, part: str, key: str, value: str
) -> None:
    path = folder / checkpoint.MANIFEST
    manifest = json.loads(path.read_text())
    manifest["parts"][part][key] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=rf"{part}\.{key}: '{value}' saved, '.*' now"):
        AnyModal.from_pretrained(folder)


def test_a_strangers_folder_cannot_widen_the_trust(folder: Path) -> None:
    def use_stranger(config: dict[str, Any]) -> None:
        config["trusted_packages"] = ["tests", "os"]
        config["parts"]["words"] = {"_target_": "tests.support.composed.Shared"}

    edited(folder, use_stranger)
    with pytest.raises(ConfigError, match="outside the allowed packages"):
        AnyModal.from_pretrained(folder)


def test_a_strangers_folder_sees_nothing_of_the_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "nothing-to-see")
    edited(folder, lambda config: config["parts"]["binder"].update(folder="${oc.env:SECRET}"))
    with pytest.raises(ValueError) as caught:
        AnyModal.from_pretrained(folder)
    assert "nothing-to-see" not in str(caught.value)
    edited(folder, lambda config: config.update(base="/etc/hosts"))
    with pytest.raises(ConfigError, match="a model has no 'base'"):
        AnyModal.from_pretrained(folder)


def test_a_model_that_only_writes_and_makes(tmp_path: Path) -> None:
    whole = tiny.compose()
    whole.language.save_pretrained(tmp_path)
    language = LanguageModel.from_pretrained(tmp_path)
    modalities = {
        name: Modality(decoder=decoder, head=whole.heads[name], num_signal_tokens=4)
        for name, decoder in whole.decoders.items()
    }
    model = AnyModal(language, None, modalities)
    asked = [Message("user", ["draw"]), Message("assistant", ["here ", Target("image", "a ball")])]
    dialogue = Dialogue(model)
    losses = dialogue.named_losses(dialogue.collate([asked]))
    assert set(losses) == {"text", "align"} and all(torch.isfinite(v) for v in losses.values())
    assert model.chat("draw", max_new_tokens=4).text is not None
    with pytest.raises(ValueError, match="no encoder of this model reads Image"):
        model.chat([tiny.picture(), "what is this?"])
