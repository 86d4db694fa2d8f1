"""A run is chatted with, evaluated and exported from its checkpoints, finished or not."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from anymodal.cli import main
from anymodal.cli.export import run as export
from anymodal.composition.card import model_card
from anymodal.config import ConfigError
from anymodal.evaluation.run import run_evaluation
from anymodal.model import AnyModal
from anymodal.serving.model_source import ModelSource
from anymodal.training.run import read_run, train
from anymodal.training.run_folder import checkpoint_of, open_any_model, open_run, open_run_model
from tests.support.composed import write_model
from tests.support.runs import assert_same, last, stages, write

SMALL = {"batch_size": 5, "trainer": {"accelerator": "cpu", "enable_progress_bar": False}}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped after two steps of four, with an average."""
    folder = tmp_path_factory.mktemp("stopped")
    stage = stages(write_model(folder / "parts"), folder)["perceive"]
    talk = {"_target_": "tests.support.composed.CutTalks", "cut": 15}
    validation = {"data": stage["data"], "every": 1, "samples": 0}
    more = {"ema": 0.5, "validation": validation, "data": talk, "steps": 4}
    with pytest.raises(OSError, match="the power is cut"):
        train(write(folder, "run", **{**stage, **SMALL, **more}))
    assert not (folder / "run" / "model").exists()
    return folder / "run"


def test_a_stopped_run_is_opened_with_its_averaged_weights(stopped: Path) -> None:
    model = open_run_model(stopped, ["tests"])
    checkpoint = last(stopped)
    average = checkpoint["callbacks"]["MovingAverage"]["average"]
    assert checkpoint["global_step"] == 2 and average
    weights = dict(model.named_parameters())
    for name, value in average.items():
        assert_same(weights[name.removeprefix("model.")].detach(), value)
    torch.manual_seed(0)
    assert isinstance(model.chat("hello", max_new_tokens=4).text, str)


def test_the_best_weights_are_opened_by_their_file(stopped: Path) -> None:
    path = stopped / "checkpoints" / "best.ckpt"
    model = open_run(path, ["tests"]).model
    best = torch.load(path, weights_only=True)["state_dict"]
    weights = dict(model.named_parameters())
    for name, value in best.items():
        assert_same(weights[name.removeprefix("model.")].detach(), value)


def test_a_stopped_run_is_exported_and_evaluated(
    stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = argparse.Namespace(
        model=str(stopped),
        folder=tmp_path / "out",
        licence="MIT",
        adapters=False,
        trusted_packages=["tests"],
        dtype="float32",
    )
    assert export(arguments) == 0 and "MB" in capsys.readouterr().out
    assert AnyModal.from_pretrained(tmp_path / "out").language is not None
    samples = tmp_path / "samples.jsonl"
    samples.write_text(json.dumps({"prompt": "hello", "references": ["Hello!"]}) + "\n")
    job: dict[str, Any] = {
        "model": str(stopped),
        "data": str(samples),
        "metrics": {"bleu": {"_target_": "anymodal.metrics.Bleu", "n_gram": 1}},
        "output_dir": str(tmp_path / "evaluated"),
        "settings": {"max_new_tokens": 4},
        "trusted_packages": ["tests"],
        "device": "cpu",
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    assert run_evaluation(tmp_path / "job.yaml")[0]["count"] == 1


def test_a_strangers_run_names_no_packages_to_trust(stopped: Path) -> None:
    assert "tests" in read_run(stopped / "run.yaml").trusted_packages
    with pytest.raises(ConfigError, match="outside the allowed packages"):
        open_run_model(stopped)


def test_the_command_line_opens_a_run(stopped: Path) -> None:
    from anymodal.cli import options
    from anymodal.composition import is_run

    parser = argparse.ArgumentParser()
    options.add_model(parser)
    best = str(stopped / "checkpoints" / "best.ckpt")
    arguments = parser.parse_args(
        ["--model", best, "--trust", "tests", "--device", "cpu", "--dtype", "bfloat16"]
    )
    assert next(options.open_model(arguments).projection.parameters()).dtype == torch.bfloat16  # type: ignore[union-attr]
    assert is_run(str(stopped)) and not is_run("nano") and not is_run("missing/last.ckpt")


def test_a_run_is_served_under_its_folder_s_name(stopped: Path) -> None:
    source = ModelSource("mine", str(stopped), trusted_packages=["tests"], device="cpu")
    assert source.facts.name == "mine" and source.num_bytes == 0
    served = source.take()
    assert served is not None and served.model is not None and served.num_bytes > 0
    expected = open_any_model(stopped, ["tests"]).chat("hello", max_new_tokens=4).text
    assert served.model.chat("hello", max_new_tokens=4).text == expected
    served.close()
    best = ModelSource(
        "best", str(stopped / "checkpoints" / "best.ckpt"), trusted_packages=["tests"], device="cpu"
    )
    again = best.open()
    assert again.model is not None and again.model.name == "best"
    again.close()


def test_what_a_run_trained_goes_with_its_model(stopped: Path, tmp_path: Path) -> None:
    model = open_any_model(stopped, ["tests"])
    (record,) = model.training_records
    assert record["stage"] == "run" and record["step"] == 2
    assert record["data"] == ["CutTalks"] and record["trainable"] == ["projection.*"]
    assert record["figures"]["loss"] > 0
    model.save_pretrained(tmp_path / "saved", with_parts=True)
    assert AnyModal.from_pretrained(tmp_path / "saved").training_records == [record]
    card = model_card(tmp_path / "saved", "saved")
    assert "| run   | projection.*" in card and "2 × 5" in card and "| loss " in card
    assert str(stopped.parent) not in card
    (tmp_path / "saved" / "training.json").write_text('[{"stage": 3}]')
    assert AnyModal.from_pretrained(tmp_path / "saved").training_records == []


def test_a_finished_run_is_exported_with_the_weights_that_it_finished_with(tmp_path: Path) -> None:
    """The best ones are those of the second step of five."""
    held_out = {"_target_": "tests.support.composed.Numbers", "count": 3}
    validation = {"data": held_out, "every": 1, "patience": 3, "restore_best": True}
    rising = {"_target_": "tests.training.test_validation.Rising"}
    model = train(write(tmp_path, objective=rising, steps=20, validation=validation))
    assert model is not None and last(model.parent)["global_step"] == 5
    arguments = {"licence": None, "trusted_packages": ["tests"], "dtype": None, "adapters": False}
    place = {"model": str(tmp_path / "run"), "folder": tmp_path / "out"}
    assert export(argparse.Namespace(**arguments, **place)) == 0
    name = "toy.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (model / name).read_bytes()
    open_last = open_run(tmp_path / "run" / "checkpoints" / "last.ckpt", ["tests"]).model
    saved = last(tmp_path / "run")["state_dict"]["model.layer.weight"]
    assert_same(open_last.get_parameter("layer.weight").detach(), saved)
    model.rename(tmp_path / "gone")
    gone_on = open_run(tmp_path / "run", ["tests"]).model
    assert_same(gone_on.get_parameter("layer.weight").detach(), saved)


def test_a_finished_model_is_exported_without_its_checkpoints(tmp_path: Path) -> None:
    stage = stages(write_model(tmp_path / "parts"), tmp_path)["perceive"]
    model = train(write(tmp_path, **{**stage, **SMALL, "steps": 1}))
    assert model is not None
    for file in (tmp_path / "run" / "checkpoints").iterdir():
        file.unlink()
    command = ["export", str(tmp_path / "run"), str(tmp_path / "out"), "--dtype", "float32"]
    assert main([*command, "--trust", "tests"]) == 0
    before, after = (AnyModal.from_pretrained(each) for each in (model, tmp_path / "out"))
    assert_same(before.state_dict(), after.state_dict())
    assert after.training_records == before.training_records


def test_loggers_and_callbacks_of_a_run_are_not_needed_to_open_its_model(
    stopped: Path, tmp_path: Path
) -> None:
    """As on another machine, which may have neither the user's classes nor wandb."""
    shutil.copytree(stopped, tmp_path / "run")
    path = tmp_path / "run" / "run.yaml"
    run = yaml.safe_load(path.read_text())
    run["loggers"] = [{"_target_": "lightning.pytorch.loggers.CometLogger"}, {"_target_": "a.B"}]
    run["callbacks"] = [{"_target_": "absent.Callback"}]
    path.write_text(yaml.safe_dump(run))
    assert open_run_model(tmp_path / "run", ["tests"]).name == "run"


def test_runs_without_a_checkpoint_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, steps=2)
    assert checkpoint_of(tmp_path / "run") is None
    with pytest.raises(ConfigError, match="is no run's folder"):
        open_run(tmp_path / "run")
    train(path)
    arguments = {"licence": None, "trusted_packages": ["tests"], "dtype": None, "adapters": False}
    place = {"model": str(tmp_path / "run"), "folder": tmp_path / "out"}
    (tmp_path / "out").mkdir()
    assert export(argparse.Namespace(**arguments, **place)) == 0
    assert (tmp_path / "out" / "toy.safetensors").is_file(), "what isn't chatted with is saved"
    with pytest.raises(ConfigError, match="is no model that chats; open it by its own class"):
        open_run_model(tmp_path / "run", ["tests"])
    with pytest.raises(ConfigError, match="trains a Toy, which doesn't chat; export it"):
        open_run_model(tmp_path / "run" / "checkpoints" / "last.ckpt", ["tests"])
    for file in (tmp_path / "run" / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match=r"no .*last.ckpt yet; the run writes one every"):
        open_run(tmp_path / "run", ["tests"])
    with pytest.raises(ConfigError, match=r"best.ckpt; it comes with a run's validation"):
        open_run(tmp_path / "run" / "checkpoints" / "best.ckpt", ["tests"])
