"""Steps and samples that go wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision

from anymodal import cli
from anymodal.cli.terminal import log_to_terminal
from anymodal.config import ConfigError
from anymodal.training.batches import Batches
from anymodal.training.building import build
from anymodal.training.left_out import LeftOut, count_left_out
from anymodal.training.run import fit, read_run, train
from tests.support import composed
from tests.support.composed import write_model
from tests.support.runs import TOY, last, write
from tests.support.tiny import picture


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize("losses", [{"square": 1.0}, {"square": 1.0, "root": 1e-30}])
def test_a_bad_step_is_skipped(
    tmp_path: Path, losses: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    """A loss that isn't finite, or (the root, whose slope at 0 is infinite) its gradient."""
    gradient = "root" in losses
    data = {**TOY["data"], "count": 12, "bad": [] if gradient else [0]}
    stage = {"trainable": ["layer.*"], "losses": losses}
    run = read_run(write(tmp_path, data=data, stage=stage, max_skipped=5))
    if gradient:
        with pytest.raises(ConfigError, match=r"nothing was learned in 4 steps.*gradient norm"):
            fit(run)
        found = last(tmp_path / "run")
    else:
        fit(run)
        found = last(tmp_path / "run")
        assert found["global_step"] == 4
    told = caplog.text
    assert ("gradient norm" if gradient else "loss nan, skipped") in told
    L.seed_everything(run.seed, verbose=False)
    fresh, learned = composed.Toy().layer.weight, found["state_dict"]["model.layer.weight"]
    assert torch.equal(fresh, learned) is gradient, "bad steps change nothing, good ones do"
    assert all(torch.isfinite(p).all() for p in found["state_dict"].values())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sample_that_can_t_be_read_is_named(tmp_path: Path, workers: int) -> None:
    """In one line, by a command that then ends: its workers leave signals alone."""
    data = {**TOY["data"], "count": 12, "cut": 4}
    path = write(tmp_path, data=data, workers=workers, trainer={"accelerator": "cpu"})
    command = [sys.executable, "-m", "anymodal", "train", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 2
    line = ended.stderr.strip().splitlines()[-1]
    assert re.fullmatch(r"anymodal: sample \d+: the power is cut", line)
    assert not re.search("Traceback", ended.stderr)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sample_that_can_t_be_used_is_stood_in_for(
    parts: Path, tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """A run goes on over files that are missing, empty or of another kind, and over long talk."""
    picture().save(tmp_path / "whole.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    files = ["whole.png", "gone.png", "empty.png", "text.png"]
    entries = [{"image": file, "caption": "a ball"} for file in files]
    talk = [{"from": "human", "value": "a ball " * 500}, {"from": "gpt", "value": "a ball"}]
    entries += [{"conversations": talk}, {"conversations": []}]
    (tmp_path / "talks.json").write_text(json.dumps(entries))
    path = {"path": str(tmp_path / "talks.json")}
    data = {"_target_": "anymodal.data.conversations.Conversations", **path}
    model = {"_target_": "anymodal.AnyModal.compose", "config": str(parts)}
    more = {"steps": 2, "batch_size": 6, "stage": {"losses": {"text": 1}}, "workers": workers}
    with log_to_terminal():  # which forked workers write to as well
        fit(run := read_run(write(tmp_path, model=model, data=data, **more)))
    told = capfd.readouterr().err
    for number, why in (
        (1, r"no such file.*gone\.png"),
        (2, r"empty\.png is empty"),
        (3, r"text\.png is named as image"),
        (4, r"the conversation takes \d+ positions and the language model reads \d+"),
        (5, "the conversation is empty"),
    ):
        place = rf"sample {number}: (talks\.json, entry {number}: )?"
        assert re.search(rf"{place}{why}.*; sample 0 stands in for it", told), number
    folder = Path(run.output_dir)
    left_out = [json.loads(line) for line in (folder / "left-out.jsonl").read_text().splitlines()]
    assert {each["sample"] for each in left_out} == {1, 2, 3, 4, 5}
    assert "5, see left-out.jsonl" in (folder / "report.html").read_text()


def test_what_a_batch_can_t_be_made_of_is_named(parts: Path, tmp_path: Path) -> None:
    model = {"_target_": "anymodal.AnyModal.compose", "config": str(parts)}
    (tmp_path / "talks.json").write_text('[{"conversations": []}]')
    data = {
        "_target_": "anymodal.data.conversations.Conversations",
        "path": str(tmp_path / "talks.json"),
    }
    path = write(tmp_path, model=model, data=data, stage={"losses": {"text": 1}}, batch_size=2)
    with pytest.raises(
        ValueError, match=r"sample 0: talks\.json, entry 0: the conversation is empty"
    ):
        train(path)


def test_bad_steps_in_a_row_end_the_run_and_name_the_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {**TOY["data"], "bad": list(range(7))}
    path = write(tmp_path, data=data, max_skipped=3, steps=9)
    with pytest.raises(
        FloatingPointError,
        match=r"3 bad steps in a row, the last at batch 3 \(samples .*\): loss nan",
    ):
        train(path)
    assert cli.main(["train", str(path)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("anymodal: 3 bad steps in a row")
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(
    ("bad", "told"),
    [(range(12), "batches 9 to 12"), ((3, 7, 11), "batch 12"), ((5, 6), None)],
    ids=["all", "one of each step", "two of one step"],
)
def test_a_bad_batch_spoils_its_step_and_steps_are_counted(
    tmp_path: Path, bad: Sequence[int], told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Twelve batches in three steps."""
    drawn = Batches(range(36), list, 3, 0)
    samples = sorted(index for batch in bad for index in drawn.indices(batch))
    data = {**TOY["data"], "count": 36, "bad": samples}
    path = write(
        tmp_path, data=data, steps=3, accumulate_grad_batches=4, max_skipped=3, save_every=1
    )
    if told is None:
        train(path)
        assert last(tmp_path / "run")["skipped"] == [0, 4]
        assert "batches 6 to 7 (samples" in caplog.text
        assert "loss nan, skipped, and with it the 4 batches of its step" in caplog.text
        return
    with pytest.raises(FloatingPointError, match=rf"3 bad steps in a row, the last at {told} \("):
        train(path)
    assert last(tmp_path / "run")["skipped"] == [2, 8]
    lines = [line for line in caplog.messages if "loss nan, skipped" in line]
    assert len(lines) == 3 and ", ".join(map(str, drawn.indices(11))) in lines[-1]


def test_a_gradient_that_isn_t_finite_is_all_its_batches_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = {"trainable": ["layer.*"], "losses": {"square": 1.0, "root": 1e-30}}
    path = write(
        tmp_path, stage=stage, steps=3, accumulate_grad_batches=2, max_skipped=2, save_every=1
    )
    with pytest.raises(FloatingPointError, match=r"2 bad steps .* the last at batches 3 to 4 \("):
        train(path)
    assert last(tmp_path / "run")["skipped"] == [1, 2]
    assert "batches 1 to 2 (samples" in caplog.text


def test_a_bad_batch_spoils_its_step_alone_where_losses_are_scaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with fp16 on a GPU, of which the scaler works on a CPU too."""

    def scaled(**settings: Any) -> L.Trainer:
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        precision = MixedPrecision("16-mixed", "cpu", scaler)
        plugins = [precision, *settings.pop("plugins")]
        return trainer(**{**settings, "precision": None, "plugins": plugins})

    trainer = L.Trainer
    monkeypatch.setattr("anymodal.training.run.L.Trainer", scaled)
    drawn = Batches(range(16), list, 4, 0)
    data = {**TOY["data"], "count": 16, "bad": drawn.indices(1)}
    more = {"accumulate_grad_batches": 2, "batch_size": 4, "data": data}
    run = read_run(write(tmp_path, steps=2, **more))
    before = build(run)[0].model.layer.weight.clone()
    _, module = fit(run)
    after = module.model.layer.weight
    assert last(tmp_path / "run")["skipped"] == [0, 2]
    assert not torch.equal(before, after), "the good step counts"
    assert torch.isfinite(after).all()


def test_steps_without_a_wanted_loss_are_skipped_but_not_forever(tmp_path: Path) -> None:
    path = write(tmp_path, stage={"losses": {"rare": 1}}, max_skipped=2)
    with pytest.raises(
        FloatingPointError, match=r"\(samples \d.*no loss of \['rare'\] has anything to learn from"
    ):
        train(path)


def test_the_list_comes_before_the_folder_of_a_run(tmp_path: Path) -> None:
    """The first batch is drawn before anything else is written there."""
    path = tmp_path / "run" / "left-out.jsonl"
    LeftOut(path).add(3, ValueError("it is gone"), 4)
    assert count_left_out(path) == 1
