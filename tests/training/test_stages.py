"""Stages: what trains and what stays, and what is refused before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from anymodal import composition
from anymodal import config as configuration
from anymodal.config import ConfigError
from anymodal.model import AnyModal
from anymodal.training.building import build
from anymodal.training.run import fit, read_run, train
from anymodal.training.trainable import freeze_all_but, train_mode
from tests.support.composed import write_model
from tests.support.runs import TOY, read_log, stages, write
from tests.support.tiny import tiny_model


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


REOPEN = {
    "bind": "anymodal.encoders.ImageBind.from_pretrained",
    "diffusion": "anymodal.decoders.DiffusionDecoder.from_pretrained",
    "language": "anymodal.language.LanguageModel.from_pretrained",
}


@pytest.mark.parametrize(
    "kind",
    [
        "perceive",
        "express",
        "instruct",
        "prefer",
        "encoder",
        "bind",
        "diffusion",
        "language",
        "autoencoder",
    ],
)
def test_two_steps_change_what_trains_and_nothing_else(
    parts: Path, tmp_path: Path, kind: str
) -> None:
    if kind in ("instruct", "prefer"):
        AnyModal.compose(parts).save_pretrained(tmp_path / "saved")
    size = 24 if kind in ("perceive", "express", "instruct", "encoder") else 4
    config = write(tmp_path, kind, steps=2, batch_size=size, **stages(parts, tmp_path)[kind])
    run = read_run(config)
    fresh, _ = build(run)
    before = {name: value.clone() for name, value in fresh.model.state_dict().items()}
    trainer, module = fit(run)
    assert trainer.global_step == 2
    after = module.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    # A shared part has several names, of which only the first counts as a parameter's.
    learned = {id(p) for p in module.parameters() if p.requires_grad}
    aliases = {
        name
        for name, p in module.model.named_parameters(remove_duplicate=False)
        if id(p) in learned
    }
    assert changed <= aliases, "what is frozen stays bit-identical"
    assert len(changed) > 0.5 * len(aliases)
    losses = read_log(Path(run.output_dir))
    assert len(losses) == 2 and all(loss == loss for loss in losses)
    for name in run.stage.losses:
        assert read_log(Path(run.output_dir), f"loss/{name}")


@pytest.mark.parametrize("kind", ["encoder", "diffusion", "language", "autoencoder"])
def test_the_finished_model_opens(parts: Path, tmp_path: Path, kind: str) -> None:
    config = write(tmp_path, kind, steps=1, batch_size=4, **stages(parts, tmp_path)[kind])
    finished = train(config)
    assert finished == tmp_path / kind / "model"
    if kind == "encoder":
        model = AnyModal.from_pretrained(finished)
        first = composition.own_weights(model)
        assert any(name.startswith("encoders.") for name in first)
    elif kind == "autoencoder":
        from diffusers import AutoencoderKL

        assert AutoencoderKL.from_pretrained(finished).config.scaling_factor != 1.0
    else:
        opened = configuration.resolve_target(REOPEN[kind])(str(finished))
        assert not opened.training


def test_an_unknown_loss_is_told(parts: Path, tmp_path: Path) -> None:
    path = write(tmp_path, stage={"losses": {"squar": 1}})
    with pytest.raises(ConfigError, match="no loss 'squar'; did you mean 'square'"):
        train(path)
    stage = {"trainable": ["projection.*"], "losses": {"txt": 1}}
    path = write(tmp_path, **{**stages(parts, tmp_path)["perceive"], "stage": stage})
    with pytest.raises(ConfigError, match="no loss 'txt'; did you mean 'text'"):
        train(path)


def test_a_glob_without_parameters_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, stage={"trainable": ["layers.*"], "losses": {"square": 1}})
    with pytest.raises(ConfigError, match=r"'layers\.\*' matches no parameter; there are"):
        train(path)


def test_a_run_is_checked_before_anything_is_built(tmp_path: Path) -> None:
    explodes = {"_target_": "tests.support.composed.Explodes", "size": 1}
    for change, message in (
        ({"model": explodes, "data": {**TOY["data"], "counts": 3}}, "takes no 'counts'; did you"),
        ({"model": explodes, "data": {"_target_": "os.getcwd"}}, "outside the allowed"),
        ({"model": explodes, "data": {"_part_": "x"}}, "'x' is not under `parts`"),
        ({"model": {**explodes, "size": "x"}}, "size must be int"),
    ):
        with pytest.raises(ConfigError, match=message):
            train(write(tmp_path, **change))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"trainer": {"max_steps": 2}}, "trainer.max_steps is the run's own to say; give steps"),
        ({"trainer": {"acelerator": "cpu"}}, "trainer takes no 'acelerator'; did you mean"),
        ({"trainer": {"accelerator": "cpu", "devices": 0}}, "trainer: "),
        (
            {"optimizer": {"max_grad_norm": 0}},
            "optimizer.max_grad_norm must be more than 0, not 0.0",
        ),
        (
            {"model": {"_target_": "torch.nn.ReLU"}, "objective": None},
            "must be of class ComposedModel, not ReLU",
        ),
        (
            {"objective": {"_target_": "torch.nn.ReLU"}},
            "objective .* must be of class Objective, not ReLU",
        ),
        (
            {"objective": {"_target_": "anymodal.training.objectives.Binding", "modality": 1}},
            "objective .* takes no 'modality'; did you mean 'modalities'",
        ),
        ({"model": {"a": 1}}, "model.a must be a part, {_target_: …}, not 1"),
    ],
)
def test_what_would_undo_a_run_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        train(write(tmp_path, trusted_packages=["tests", "torch"], **changes))


def test_only_what_trains_is_in_training_mode(parts: Path) -> None:
    model = AnyModal.compose(parts)
    model.language.enable_lora(r=2, dropout=0.5)
    names = freeze_all_but(model, ["projection.*", "*lora_*"])
    assert all("lora_" in name or name.startswith("projection.") for name in names)
    train_mode(model)
    assert model.projection.training
    assert not any(part.training for part in model.encoders.modules())
    assert not any(part.training for part in model.decoders.modules())
    dropouts = [m for m in model.language.modules() if isinstance(m, nn.Dropout) and m.p == 0.5]
    assert dropouts and all(dropout.training for dropout in dropouts)
    freeze_all_but(model, ["heads.*"])
    train_mode(model)
    assert not any(part.training for part in model.language.modules())


def test_tests_leave_the_shared_model_alone() -> None:
    assert not any(p.requires_grad for p in tiny_model().parameters())
