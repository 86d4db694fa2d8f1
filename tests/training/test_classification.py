"""Encoders learn classes from labels, and composed models start from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymodal.config import ConfigError
from anymodal.io.checkpoint import CheckpointError
from anymodal.media import Image
from anymodal.model import AnyModal
from anymodal.training.losses.classes import ClassStates, CrossEntropy, ZeroOne
from anymodal.training.objectives import Classification, Classifier
from anymodal.training.run import read_run, train, train_model
from anymodal.types import Message
from tests.support.composed import model_config, write_model
from tests.support.own_encoders import Colours
from tests.support.runs import write

LABELS = ["red", "green", "blue"]


class Pictures:
    """Noisy pictures of one colour, most of them red."""

    def __init__(self, size: int = 24, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.places = np.where(rng.random(size) < 0.5, 0, rng.integers(3, size=size))
        self.pixels = rng.integers(0, 120, (size, 4, 4, 3), dtype=np.uint8)
        self.pixels[np.arange(size), :, :, self.places] += 120

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int, /) -> list[Message]:
        question = [Image(self.pixels[index]), "which colour is it?"]
        return [Message("user", question), Message("assistant", LABELS[self.places[index]])]


def dim(batch: torch.Tensor) -> torch.Tensor:
    """Pictures in less light."""
    return batch * 0.9


def objective(**settings: Any) -> Classification:
    torch.manual_seed(0)
    return Classification({"image": Colours()}, LABELS, **settings)


def learn(model: Classification, steps: int = 30, **losses: Any) -> Classification:
    return train_model(
        model,
        Pictures(),
        losses={"cross_entropy": 1, **losses},
        steps=steps,
        batch_size=12,
        optimizer={"lr": 3e-2},
        loggers=False,
        trainer={"accelerator": "cpu", "enable_progress_bar": False},
    )


def error_rate(model: Classification) -> float:
    model.use_losses({"zero_one": 1})
    held_out = model.collate([Pictures(40, seed=1)[index] for index in range(40)])
    with torch.no_grad():
        return float(model.named_losses(held_out)["zero_one"])


def test_an_encoder_learns_classes_and_its_folder_opens(tmp_path: Path) -> None:
    model = objective(mixup=0.2, augment=dim)
    before = error_rate(model)
    learn(model, cross_entropy={"balanced": True, "label_smoothing": 0.1}, balanced_zero_one=0)
    assert error_rate(model) == 0 < before
    model.save_pretrained(tmp_path / "encoder")
    classifier = Classifier.from_pretrained(tmp_path / "encoder", Colours())
    media = [Image(pixels) for pixels in Pictures(5, seed=2).pixels]
    probabilities = classifier.probabilities(media, batch_size=2)
    assert torch.equal(probabilities, model.model.probabilities(media, batch_size=2))
    assert probabilities.argmax(1).tolist() == Pictures(5, seed=2).places.tolist()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(5))
    with pytest.raises(CheckpointError, match="image"):
        Classifier.from_pretrained(tmp_path / "encoder", Colours(5))
    (tmp_path / "encoder" / "classes.json").unlink()
    with pytest.raises(CheckpointError, match="names no classes"):
        Classifier.from_pretrained(tmp_path / "encoder", Colours())


def test_a_run_watches_accuracy_and_a_composed_model_starts_from_it(tmp_path: Path) -> None:
    parts = write_model(tmp_path / "parts")
    here = "tests.training.test_classification"
    settings: dict[str, Any] = {
        "model": {"image": {"_target_": "tests.support.own_encoders.Colours"}},
        "objective": {
            "_target_": "anymodal.training.objectives.Classification",
            "labels": LABELS,
            "augment": {"_target_": "torch.nn.Identity"},
        },
        "data": {"_target_": f"{here}.Pictures"},
        "stage": {
            "trainable": ["encoders.image.*", "head.*"],
            "losses": {"cross_entropy": {"balanced": True}, "zero_one": 0},
        },
        "validation": {
            "data": {"_target_": f"{here}.Pictures", "seed": 1},
            "every": 2,
            "monitor": "loss/zero_one",
            "restore_best": True,
        },
        "trusted_packages": ["tests", "torch"],
    }
    path = write(tmp_path, "colours", **settings)
    assert read_run(path).validation is not None
    folder = train(path)
    assert folder is not None
    lines = (tmp_path / "colours" / "history.jsonl").read_text().splitlines()
    figures = {key for line in lines for key in json.loads(line)}
    assert "validation/loss/zero_one" in str(sorted(figures))
    config = model_config(parts.parent)
    config["modalities"].pop("audio")
    config["modalities"]["image"]["encoder"] = settings["model"]["image"]
    config |= {"trusted_packages": ["tests"], "weights": [str(folder)]}
    model = AnyModal.compose(config)
    classifier = Classifier.from_pretrained(folder, Colours())
    for name, value in classifier.encoder.state_dict().items():
        assert torch.equal(model.encoders["image"].state_dict()[name], value), name


def test_balanced_losses_count_each_class_alike() -> None:
    model = objective()
    batch = model.collate([Pictures()[index] for index in range(24)])
    with torch.no_grad():
        states = model.states(batch)
    for kind in (CrossEntropy, ZeroOne):
        values = kind().values(states, batch.labels)
        each = [values[batch.labels == place].mean() for place in range(3)]
        (whole,) = kind()(batch, states)
        torch.testing.assert_close(whole.value, values.mean())
        parts = kind(balanced=True)(batch, states)
        total = torch.stack([part.value for part in parts if part.value is not None]).sum()
        torch.testing.assert_close(total, torch.stack(each).mean())
        assert {part.part: part.over for part in parts} == kind(balanced=True).count(batch)


def test_losses_are_those_of_their_formulas() -> None:
    batch = objective().collate([Pictures()[0], Pictures()[1]])
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 3.0]])
    states = ClassStates(logits, torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))
    smooth = 0.7 * states.targets + 0.1
    expected = -(smooth * logits.log_softmax(1)).sum(1)
    (loss,) = CrossEntropy(label_smoothing=0.3)(batch, states)
    torch.testing.assert_close(loss.value, expected.mean())
    assert ZeroOne().values(states, torch.tensor([0, 0])).tolist() == [0.0, 1.0]


def test_mixed_and_augmented_media_are_of_training_alone() -> None:
    model = objective(mixup=1.0, augment=dim)
    batch = model.collate([Pictures()[index] for index in range(24)])
    with torch.no_grad():
        plain = model.states(batch)
    assert set(plain.targets.unique().tolist()) == {0.0, 1.0}
    torch.manual_seed(0)
    mixed = model.states(batch)
    assert 0 < float(mixed.targets[mixed.targets > 0].min()) < 0.5
    assert torch.equal(mixed.targets.argmax(1), batch.labels), "its own label weighs most"
    torch.testing.assert_close(mixed.targets.sum(1), torch.ones(24))


def test_what_has_no_class_is_refused_by_name() -> None:
    model = objective()
    (question, _) = sample = Pictures()[0]
    with pytest.raises(ValueError, match="'pink' is none of the labels red, green, blue"):
        model.collate([[question, Message("assistant", "pink")]])
    with pytest.raises(ValueError, match="has 0 media"):
        model.collate([[Message("user", "which?"), sample[1]]])
    with pytest.raises(ConfigError, match="one encoder by its name"):
        Classification(Colours(), LABELS)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="one encoder by its name"):
        Classification({"a": Colours(), "b": Colours()}, LABELS)
    with pytest.raises(ValueError, match="two or more, each once"):
        Classification({"image": Colours()}, ["red", "red"])
    with pytest.raises(ValueError, match="mixup=-1"):
        objective(mixup=-1)
    with pytest.raises(ConfigError, match="label_smoothing must be"):
        CrossEntropy(label_smoothing=1)
