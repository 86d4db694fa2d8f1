"""Finished runs: what changed since is told, and larger `steps` go on; bars that know their end."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from anymodal.training.run import train
from tests.support.runs import TOY, last, write


def test_changed_settings_are_told_and_more_steps_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "anymodal")
    path = write(tmp_path, steps=2)
    model = train(path)
    assert model is not None
    first = (model / "toy.safetensors").read_bytes()
    assert train(path) == model and "give a larger steps=" in caplog.text

    caplog.clear()
    assert train(path, ["optimizer.lr=0.5"]) == model
    assert "optimizer.lr" in caplog.text and "-> 0.5" in caplog.text
    assert "output_dir=" in caplog.text and "more than its steps=2" in caplog.text
    assert train(path, ["steps=1"]) == model and (model / "toy.safetensors").read_bytes() == first

    assert train(path, ["steps=4"]) == model
    assert last(model.parent)["global_step"] == 4
    assert (model / "toy.safetensors").read_bytes() != first
    assert (model.parent / "model-2" / "toy.safetensors").read_bytes() == first


def test_steps_in_place_of_epochs_go_on_if_they_are_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "anymodal")
    epochs = write(tmp_path, steps=0, epochs=2)
    model = train(epochs)
    assert model is not None
    done = last(model.parent)["global_step"]
    assert train(write(tmp_path, steps=done)) == model and "give more than its" in caplog.text
    assert {path.name for path in model.parent.glob("model*")} == {"model"}
    assert train(write(tmp_path, steps=done + 1)) == model
    assert last(model.parent)["global_step"] == done + 1
    assert train(write(tmp_path, steps=0, epochs=9)) == model
    assert last(model.parent)["global_step"] == done + 1, "nobody knows how many steps these are"


def test_a_run_that_goes_on_and_is_cut_off_is_not_taken_for_finished(tmp_path: Path) -> None:
    path = write(tmp_path, steps=2)
    model = train(path)
    assert model is not None
    with pytest.raises(OSError, match="the power is cut"):
        train(path, ["steps=6", "+data.cut=6"])
    assert not model.exists() and (model.parent / "model-2").is_dir()
    assert train(path, ["steps=6"]) == model
    assert last(model.parent)["global_step"] == 6


def test_a_resumed_runs_bar_counts_all_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path, steps=3, accumulate_grad_batches=2, trainer={"accelerator": "cpu"}, save_every=1,
        data={**TOY["data"], "cut": 14},
    )  # fmt: skip
    with pytest.raises(OSError, match="the power is cut"):
        train(path)
    before = last(tmp_path / "run")["global_step"]
    assert 0 < before < 3
    capsys.readouterr()
    train(path, ["data.cut=null"])
    told = "".join(capsys.readouterr())
    assert f"{before}/3" in told and "3/3" in told
    assert "/?" not in told.rpartition(f"{before}/3")[2]
