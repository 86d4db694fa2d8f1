"""Stopping and going on: a run that was cut off ends as a straight one."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.config import ConfigError
from anymodal.io import checkpoint
from anymodal.model import AnyModal
from anymodal.training.checkpoints import AtomicCheckpointIO
from anymodal.training.run import fit, read_run, train, train_model
from anymodal.training.run_folder import open_run
from anymodal.training.steps import Step, StepReport
from tests.support import composed
from tests.support.children import exit_code, start
from tests.support.composed import small_disk, write_model
from tests.support.runs import TOY, assert_same, last, read_log, stages, write


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate_grad_batches": 2},
        {"ema": 0.9},
        {"workers": 1, "accumulate_grad_batches": 2},
        {"accumulate_grad_batches": 2, "ema": 0.5},
        {"optimizer": {"muon": {"params": ["layer.*"]}}},
    ],
    ids=lambda changes: "+".join(changes) or "plain",
)
def test_a_run_cut_off_goes_on_as_if_it_had_not_been(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    straight = write(tmp_path, "straight", **changes)
    train(straight)
    samples = 3 * 3 * changes.get("accumulate_grad_batches", 1)  # a step is drawn ahead
    data = {**TOY["data"], "cut": samples}
    cut = write(tmp_path, "cut", **{**changes, "data": data})
    with pytest.raises(OSError, match="the power is cut"):
        train(cut)
    assert last(tmp_path / "cut")["global_step"] == 2
    assert not (tmp_path / "cut" / "model").exists()
    finished = train(cut, ["data.cut=null"])
    first, second = last(tmp_path / "straight"), last(tmp_path / "cut")
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "batches", "global_step"):
        assert_same(first[key], second[key])
    if "ema" in changes:
        assert_same(*(c["callbacks"]["MovingAverage"] for c in (first, second)))
    assert read_log(tmp_path / "straight")[-2:] == read_log(tmp_path / "cut")[-2:]
    assert finished is not None
    files = [tmp_path / name / "model" / "toy.safetensors" for name in ("straight", "cut")]
    assert_same(*map(checkpoint.load_weights, files))


def test_running_statistics_go_on_and_are_the_checkpoints(tmp_path: Path) -> None:
    changes = {"model": {"_target_": "tests.support.composed.NormalisedToy"}}
    train(write(tmp_path, "straight", **changes))
    cut = write(tmp_path, "cut", **{**changes, "data": {**TOY["data"], "cut": 9}})
    with pytest.raises(OSError, match="the power is cut"):
        train(cut)
    buffers = last(tmp_path / "cut")["buffers"]
    assert buffers["layer.0.num_batches_tracked"] == 2
    opened = open_run(tmp_path / "cut", ["tests"]).model.state_dict()
    assert_same({name: opened[name] for name in buffers}, buffers)
    train(cut, ["data.cut=null"])
    first, second = (last(tmp_path / name)["buffers"] for name in ("straight", "cut"))
    assert_same(first, second)
    assert second["layer.0.num_batches_tracked"] == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_cut_off_twice_in_an_epoch_draws_the_same(tmp_path: Path, workers: int) -> None:
    """Data that draw from Python's, NumPy's and torch's random numbers; 40 of them, 18 drawn."""
    data = {**TOY["data"], "count": 40, "drawing": True}
    train(write(tmp_path, "straight", data=data, steps=6))
    cut = write(tmp_path, "cut", data=data, steps=6, save_every=1, workers=workers)
    for stop in (8, 3):  # read by one worker, of two: half of them
        stop = stop if not workers else stop // 2 + 2
        with pytest.raises((OSError, RuntimeError), match="the power is cut"):
            train(cut, [f"+data.cut={stop}"])
    train(cut)
    first, second = last(tmp_path / "straight"), last(tmp_path / "cut")
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "batches", "skipped"):
        assert_same(first[key], second[key])
    assert read_log(tmp_path / "straight")[-1:] == read_log(tmp_path / "cut")[-1:]


def test_a_run_with_a_cache_goes_on_to_the_bit(parts: Path, tmp_path: Path) -> None:
    stage = stages(parts, tmp_path)["perceive"]
    small = {
        **stage,
        "batch_size": 5,
        "steps": 4,
        "feature_cache": {"dir": str(tmp_path / "feature_cache")},
    }
    fit(read_run(write(tmp_path, "straight", **small)))
    other = write(
        tmp_path, "other", **{**small, "data": {"_target_": "tests.support.composed.CutTalks"}}
    )
    with pytest.raises(OSError, match="the power is cut"):
        fit(read_run(other))
    fit(read_run(other, ["data._target_=tests.support.tiny.conversations"]))
    first, second = last(tmp_path / "straight"), last(tmp_path / "other")
    for key in ("state_dict", "optimizer_states", "batches"):
        assert_same(first[key], second[key])


@pytest.mark.parametrize("packed", [True, False])
def test_a_run_with_everything_at_once_goes_on_to_the_bit(
    parts: Path, tmp_path: Path, packed: bool
) -> None:
    """Cut off in the middle of an accumulation, with adapters whose dropout draws."""
    stage = stages(parts, tmp_path)["instruct"]
    AnyModal.compose(parts).save_pretrained(tmp_path / "saved")
    data = {"_target_": "tests.support.composed.CutTalks", "cut": 1000}
    settings = {
        "batch_size": 3,
        "accumulate_grad_batches": 3,
        "workers": 2,
        "packed": packed,
        "ema": 0.5,
    }
    run = {
        **stage,
        **settings,
        "data": data,
        "steps": 4,
        "feature_cache": {"dir": str(tmp_path / "feature_cache")},
    }
    fit(read_run(write(tmp_path, "straight", **run)))
    cut = write(tmp_path, "cut", **run)
    with pytest.raises(OSError, match="the power is cut"):
        fit(
            read_run(cut, ["data.cut=15"])
        )  # in each worker: eight batches are trained, of three steps
    assert last(tmp_path / "cut")["batches"] == 6
    fit(read_run(cut))
    first, second = last(tmp_path / "straight"), last(tmp_path / "cut")
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "batches"):
        assert_same(first[key], second[key])
    assert read_log(tmp_path / "straight")[-2:] == read_log(tmp_path / "cut")[-2:]


def train_in_a_group(path: Path) -> None:
    """Train, in a group of processes that its workers belong to; status 7 where it was stopped."""
    os.setpgid(0, 0)
    sys.exit(7 if train(path) is None else 1)


def train_quietly(path: Path, overrides: list[str]) -> None:
    """Train, printing nothing; status 1 where it did not end."""
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 1)
        os.dup2(null.fileno(), 2)
    sys.exit(0 if train(path, overrides) is not None else 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_workers_too_saves_and_stops(tmp_path: Path, number: int) -> None:
    """As Ctrl-C in a terminal and `scancel` send it."""
    data = {**TOY["data"], "count": 200, "slow": 0.01}
    path = write(tmp_path, data=data, steps=2000, workers=2, save_every=10_000)
    child = start(train_in_a_group, path)
    until = time.monotonic() + 60
    while not logged_steps(tmp_path / "run") and time.monotonic() < until:
        time.sleep(0.1)
    assert child.pid is not None
    os.killpg(child.pid, number)
    assert exit_code(child) == 7
    found = last(tmp_path / "run")
    assert found["batches"] == found["global_step"] > 0


def test_a_signal_while_processes_ask_each_other_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As to one that waits there for others, most of the time."""
    asked: list[float] = []

    def end(step: Step, norm: torch.Tensor, flags: torch.Tensor) -> StepReport:
        asked.append(float(flags[0]))
        if len(asked) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return ended(step, norm, flags)

    ended = Step.end
    monkeypatch.setattr(Step, "end", end)
    assert train(write(tmp_path, steps=6)) is None
    assert asked == [0, 1] and last(tmp_path / "run")["global_step"] == 2


def test_a_run_whose_time_is_up_goes_on_and_has_as_long_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "anymodal")
    more = {"accumulate_grad_batches": 2, "save_every": 1000}
    train(write(tmp_path, "straight", **more))
    data = {**TOY["data"], "slow": 0.15}
    timed = write(
        tmp_path, "timed", data=data, trainer={"accelerator": "cpu", "max_time": "00:00:00:01"},
        **more,
    )  # fmt: skip
    steps = []
    while train(timed) is None:
        steps.append(last(tmp_path / "timed")["global_step"])
        assert last(tmp_path / "timed")["batches"] == steps[-1] * 2
        assert f"max_time=00:00:00:01 is up: stopped at step {steps[-1]} of 4" in caplog.text
        assert not (tmp_path / "timed" / "model").exists()
    assert steps and steps == sorted(set(steps)), "each session went on"
    for key in ("state_dict", "optimizer_states", "batches", "global_step"):
        assert_same(last(tmp_path / "straight")[key], last(tmp_path / "timed")[key])


def test_a_model_that_is_trained_in_place_comes_back_when_the_time_is_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trainer = {"accelerator": "cpu", "max_time": {"seconds": 1}, "enable_progress_bar": False}
    toy = composed.Regression(composed.Toy())
    before = toy.model.layer.weight.detach().clone()
    train_model(
        toy, composed.Numbers(slow=0.2), losses={"square": 1.0}, steps=99, batch_size=2,
        trainer=trainer, loggers=False,
    )  # fmt: skip
    assert "is up: stopped at step" in caplog.text
    assert not torch.equal(toy.model.layer.weight, before)


@pytest.mark.parametrize("max_time", ["8 hours", "00:08:00", {"hour": 8}, {}])
def test_a_time_that_is_none_is_refused(tmp_path: Path, max_time: object) -> None:
    path = write(tmp_path, trainer={"accelerator": "cpu", "max_time": max_time})
    with pytest.raises(ConfigError, match=r"trainer\.max_time is .*; give DD:HH:MM:SS"):
        read_run(path)


def logged_steps(out: Path) -> bool:
    return any(path.stat().st_size > 1000 for path in (out / "logs").glob("events*"))


def test_a_stage_of_the_whole_model_goes_on_too(parts: Path, tmp_path: Path) -> None:
    stage = stages(parts, tmp_path)["perceive"]
    small = {**stage, "batch_size": 5, "trainer": {"accelerator": "cpu"}, "steps": 4}
    straight = write(tmp_path, "straight", **small)
    fit(read_run(straight))
    other = write(
        tmp_path, "other", **{**small, "data": {"_target_": "tests.support.composed.CutTalks"}}
    )
    with pytest.raises(OSError, match="the power is cut"):
        fit(read_run(other))
    fit(read_run(other, ["data._target_=tests.support.tiny.conversations"]))
    first, second = last(tmp_path / "straight"), last(tmp_path / "other")
    torch.testing.assert_close(first["state_dict"], second["state_dict"], rtol=1e-4, atol=1e-4)
    assert read_log(tmp_path / "straight")[-2:] == pytest.approx(
        read_log(tmp_path / "other")[-2:], rel=1e-4
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("accumulate_grad_batches", [1, 2])
def test_a_signal_saves_and_stops_and_the_run_goes_on(
    tmp_path: Path,
    number: int,
    accumulate_grad_batches: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "anymodal")
    before = signal.getsignal(number)
    straight = write(tmp_path, "straight", accumulate_grad_batches=accumulate_grad_batches)
    train(straight)
    data = {**TOY["data"], "stop": [3 * accumulate_grad_batches + 4, int(number)]}
    stopped = write(
        tmp_path,
        "stopped",
        accumulate_grad_batches=accumulate_grad_batches,
        save_every=1000,
        data=data,
    )
    assert train(stopped) is None
    assert signal.getsignal(number) == before
    found = last(tmp_path / "stopped")
    assert 1 <= found["global_step"] < 4
    assert found["batches"] == found["global_step"] * accumulate_grad_batches
    assert f"stopped at step {found['global_step']} of 4; run it again" in caplog.text
    assert train(stopped, ["data.stop=null"]) is not None
    for key in ("state_dict", "optimizer_states", "batches"):
        assert_same(last(tmp_path / "straight")[key], last(tmp_path / "stopped")[key])
    assert read_log(tmp_path / "straight") == pytest.approx(
        read_log(tmp_path / "stopped"), rel=1e-6
    )


def test_a_run_killed_at_any_moment_loses_little_and_no_checkpoint(tmp_path: Path) -> None:
    changes = {"steps": 250, "save_every": 5, "log_every": 50}
    train(write(tmp_path, "straight", **changes))
    path, place = write(tmp_path, "killed", **changes), tmp_path / "killed" / "checkpoints"
    moments = random.Random(0)
    reached, kills, hits, done, trace = 0, 0, 0, False, tmp_path / "trace"
    while not done:
        # So slow that ten kills fall within the run, wherever it is; then as fast as it can.
        overrides = [f"+data.trace={trace}", *(["+data.slow=0.005"] if kills < 10 else [])]
        child = start(train_quietly, path, overrides)
        if kills < 10:
            while kills % 5 and child.is_alive() and not trace.exists():
                time.sleep(0.005)  # the others may hit it as it starts
            time.sleep(moments.uniform(0.05, 0.6))
            child.kill()
            kills += 1
        status = exit_code(child)
        done = status != -signal.SIGKILL
        hits += trace.exists() and not done
        if (place / "last.ckpt").exists():
            step = last(tmp_path / "killed")["global_step"]  # it can be read, whole
            assert step % 5 == 0 and step >= reached
            if trace.exists() and not done:
                # Of the batches that were drawn, one was ahead and one under way.
                begun = reached + trace.stat().st_size // 3 - 2
                assert step > begun - 5, "no more is lost than is trained between checkpoints"
            reached = step
        trace.unlink(missing_ok=True)
    assert status == 0
    assert kills == 10 and hits >= 8, "most hit a run that was training"
    left = sorted(file.name for file in place.iterdir())
    assert left == ["last.ckpt", "previous.ckpt"], "nothing else is left of kills"
    for key in ("state_dict", "optimizer_states", "batches"):
        assert_same(last(tmp_path / "straight")[key], last(tmp_path / "killed")[key])


def test_the_command_tells_a_stopped_run_from_a_finished_one(tmp_path: Path) -> None:
    import argparse

    from anymodal.cli.train import INTERRUPTED, run

    path = str(write(tmp_path, data={**TOY["data"], "stop": [4, int(signal.SIGINT)]}))
    options = {"ray": None, "find_rate": None}
    assert run(argparse.Namespace(items=[path], **options)) == INTERRUPTED
    assert run(argparse.Namespace(items=[path, "data.stop=null"], **options)) == 0


def test_a_finished_run_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "anymodal")
    path = write(tmp_path, steps=1)
    finished = train(path)
    assert finished is not None
    (finished / "mine").write_text("feature_cache")
    assert train(path, ["seed=7"]) == finished
    assert (finished / "mine").read_text() == "feature_cache"
    assert "there already, of other settings" in caplog.text and "seed 0 -> 7" in caplog.text


def test_a_run_that_only_lost_its_model_writes_it_again(tmp_path: Path) -> None:
    path = write(tmp_path, ema=0.5)
    finished = train(path)
    assert finished is not None
    before = checkpoint.load_weights(finished / "toy.safetensors")
    finished.rename(tmp_path / "gone")
    assert train(path) == finished
    assert_same(before, checkpoint.load_weights(finished / "toy.safetensors"))
    assert len(read_log(tmp_path / "run")) == 4


def test_a_checkpoint_of_another_stage_is_refused(tmp_path: Path) -> None:
    train(write(tmp_path, steps=2))
    other = write(tmp_path, stage={"trainable": ["*"], "losses": {"square": 1}})
    (tmp_path / "run" / "model").rename(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"only here \['model.frozen.bias'.*another output_dir="):
        train(other)


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path: Path) -> None:
    fit(read_run(write(tmp_path, steps=2)))
    path = write(tmp_path, optimizer={"muon": {"params": ["layer.weight"]}})
    with pytest.raises(ConfigError, match="with AdamW and this one has AdamW and Muon"):
        train(path)


def test_logs_are_written_and_none_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(write(tmp_path, steps=2))
    assert len(read_log(out)) == 2 and len(read_log(out, "loss/square")) == 2
    assert list((out / "logs").glob("events.out.tfevents.*"))
    (out / "model").rename(tmp_path / "gone")
    train(write(tmp_path, steps=4))
    assert len(read_log(out)) == 4


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.ones(3)}, path)
    with small_disk(20_000), pytest.raises(OSError, match=r"could not write .*untouched"):
        AtomicCheckpointIO().save_checkpoint({"a": torch.ones(50_000)}, path)
    assert_same(AtomicCheckpointIO().load_checkpoint(path), {"a": torch.ones(3)})
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    with pytest.raises(ValueError, match="local files only"):
        AtomicCheckpointIO().load_checkpoint("https://host/last.ckpt")


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04" + bytes(40)])
def test_a_damaged_checkpoint_is_told(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path)
    found = tmp_path / "run" / "checkpoints" / "last.ckpt"
    found.parent.mkdir(parents=True)
    found.write_bytes(content)
    with pytest.raises(ValueError, match="last.ckpt is damaged .* delete the folder"):
        train(path)
    assert found.read_bytes() == content


def test_a_run_goes_on_with_whole_steps_where_more_batches_accumulate(tmp_path: Path) -> None:
    train(write(tmp_path, steps=3))
    (tmp_path / "run" / "model" / "toy.safetensors").unlink()
    (tmp_path / "run" / "model").rmdir()
    train(write(tmp_path, steps=5, accumulate_grad_batches=2))
    found = last(tmp_path / "run")
    assert (found["global_step"], found["batches"]) == (5, 3 + 2 * 2)
