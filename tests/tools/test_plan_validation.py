"""A run's validations in its plan: held-out losses, replies, and data that aren't there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from anymodal.encoders import ImageBind
from anymodal.language.model import LanguageModel
from anymodal.tools.plan.report import plan_report
from tests.support.imagebind_models import TRUNKS
from tests.support.language_kinds import tiny_tokenizer
from tests.support.plans import plan
from tests.training.test_switches import BUILDERS


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads and makes nothing, so that plans are quick."""
    folder = tmp_path_factory.mktemp("model")
    ImageBind({"vision": TRUNKS["vision"]}, embedding=24).save_pretrained(folder / "binder")
    LanguageModel(BUILDERS["llama"](), tiny_tokenizer()).save_pretrained(folder / "lm")
    load = "anymodal.encoders.ImageBind.from_pretrained"
    binder = {"_target_": load, "folder": str(folder / "binder")}
    encoder = {"_target_": "anymodal.encoders.ImageBindEncoder", "modality": "image"}
    language = "anymodal.language.LanguageModel.from_pretrained"
    config = {
        "language": {"_target_": language, "path_or_name": str(folder / "lm")},
        "projection": {"_target_": "anymodal.projection.LinearProjection", "num_tokens": 2},
        "modalities": {"image": {"encoder": {**encoder, "model": binder}}},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(config))
    return folder / "model.yaml"


def run(folder: Path, model: Path, **validation: Any) -> Path:
    talks = {"_target_": "tests.support.composed.plain_conversations"}
    config = {
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(model)},
        "data": talks,
        "stage": {"trainable": ["projection.*"], "losses": {"text": 1}},
        "trusted_packages": ["tests"],
        "output_dir": "x",
        "steps": 1,
        "batch_size": 2,
        "ema": 0.9,
    }
    if validation:
        config["validation"] = {"data": talks, **validation}
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    return folder / "run.yaml"


def test_validations_count_where_they_take_most(model: Path, tmp_path: Path) -> None:
    (alone,) = plan(run(tmp_path, model))
    (losses,) = plan(run(tmp_path, model, samples=0))
    assert losses.need.phase == "computes held-out losses" and not alone.need.phase
    assert losses.need.peak > alone.need.peak, "texts alone train no projection"
    settings = {"max_new_tokens": 10**5}
    (several,) = plan(run(tmp_path, model, samples=3, settings=settings))
    (one,) = plan(run(tmp_path, model, samples=1, settings=settings))
    assert several.need.phase == "answers held-out questions"
    assert several.need.of("cache") == 2 * one.need.of("cache") > 0, "in batches of two"
    assert several.need.of("average") == 2 * losses.need.of("average"), "own weights put aside"
    assert "It takes most while it answers held-out questions." in plan_report(several)
    assert several.to_json()["need"]["phase"] == several.need.phase


def test_held_out_data_that_are_not_there_are_told(model: Path, tmp_path: Path) -> None:
    (missing,) = plan(run(tmp_path, model, samples=0, data={"path": "nowhere.json"}))
    assert any("what validation holds" in reason for reason in missing.need.unknown)
