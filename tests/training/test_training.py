"""Training: what trains and what stays, stopping and going on, and steps that go wrong."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import yaml
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn

from anymodal import cli, composition
from anymodal import config as configuration
from anymodal.cli.terminal import log_to_terminal
from anymodal.config import ConfigError
from anymodal.distributed import collectives
from anymodal.io import checkpoint
from anymodal.model import AnyModal
from anymodal.training.batches import Batches, loader
from anymodal.training.callbacks import MovingAverage
from anymodal.training.checkpoints import AtomicCheckpointIO
from anymodal.training.configuration import MuonConfig, Optimizer, freeze_all_but, train_mode
from anymodal.training.optimizers import build_optimizer
from anymodal.training.run import build, fit, read_run, train
from tests.support import composed
from tests.support.composed import small_disk, write_model
from tests.support.tiny import picture, tiny_model

TOY: dict[str, Any] = {
    "model": {"_target_": "tests.support.composed.Toy"},
    "data": {"_target_": "tests.support.composed.Numbers"},
    "stage": {"trainable": ["layer.*"], "losses": {"square": 1.0}},
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


def write(folder: Path, name: str = "run", **changes: Any) -> Path:
    run = {
        **TOY,
        "output_dir": str(folder / name),
        "steps": 4,
        "batch_size": 3,
        "save_every": 2,
        "log_every": 1,
        "trusted_packages": ["tests"],
        "trainer": {"accelerator": "cpu"},
        **changes,
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


def logged(out: Path, column: str = "loss") -> list[float]:
    """A column of all sessions' CSV logs, in order."""
    found = []
    for path in sorted((out / "logs").glob("version_*/metrics.csv")):
        with open(path, newline="") as file:
            found += [float(row[column]) for row in csv.DictReader(file) if row.get(column)]
    return found


def last(out: Path) -> dict[str, Any]:
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same(first: Any, second: Any, rtol: float = 0.0, atol: float = 0.0) -> None:
    if isinstance(first, str):
        assert first == second
        return
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        first, second = list(first.values()), list(second.values())
    if isinstance(first, list) and not all(isinstance(value, int | float) for value in first):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other, rtol, atol)
        return
    torch.testing.assert_close(first, second, rtol=rtol, atol=atol)


# ---- Stages ------------------------------------------------------------------------------------


def stages(parts: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Every kind of stage, on the tiny parts."""
    compose = {"_target_": "anymodal.AnyModal.compose", "config": str(parts)}
    talk = {"_target_": "tests.support.tiny.conversations"}
    load = {"_target_": "anymodal.decoders.DiffusionDecoder.from_pretrained"}
    trunk = {"width": 16, "blocks": 1, "heads": 2}
    binder = {
        "_target_": "anymodal.encoders.ImageBind",
        "trunks": {
            "vision": {**trunk, "size": 16, "patch": 8, "clips": 2, "frame_seconds": 0.25},
            "audio": {**trunk, "mel_bins": 32, "stride": 16, "clips": 1},
            "imu": {**trunk, "samples": 400, "clip_seconds": 2.0},
            "text": {**trunk, "vocab_size": 261, "context": 16},
        },
        "embedding": 16,
    }
    objectives = "anymodal.training.objectives"
    return {
        "perceive": {
            "model": compose,
            "data": talk,
            "stage": {"trainable": ["projection.*"], "losses": {"text": 1}},
        },
        "express": {
            "model": compose,
            "data": talk,
            "stage": {
                "trainable": ["heads.*", "language.rows"],
                "losses": {"text": 1, "align": 1, "denoise": 1},
            },
        },
        "instruct": {
            "model": {
                "_target_": "anymodal.AnyModal.from_pretrained",
                "path": str(folder / "saved"),
                "lora": {"r": 2, "dropout": 0.1},
            },
            "data": talk,
            "stage": {
                "trainable": ["projection.*", "language.rows", "*lora_*"],
                "losses": {"text": 1},
            },
        },
        "encoder": {
            "model": compose,
            "data": talk,
            "stage": {"trainable": ["encoders.*"], "losses": {"text": 1}},
        },
        "bind": {
            "model": {
                "_target_": f"{objectives}.Binding",
                "model": binder,
                "tokenizer": {"_target_": "tests.support.composed.small_tokenizer"},
                "modalities": ["image", "audio", "imu"],
            },
            "data": {"_target_": "tests.support.composed.scenes"},
            "stage": {
                "trainable": ["*vision*", "*audio*", "*imu*"],
                "losses": {"image": 1, "audio": 1, "imu": 1},
            },
        },
        "diffusion": {
            "model": {
                "_target_": f"{objectives}.CaptionedDiffusion",
                "decoder": {**load, "folder": str(parts.parent / "image")},
            },
            "data": {"_target_": "tests.support.composed.captioned"},
            "stage": {
                "trainable": ["decoder.parts.transformer.*", "decoder.parts.text_encoder.*"],
                "losses": {"denoise": 1},
            },
        },
        "language": {
            "model": {
                "_target_": f"{objectives}.LanguageModeling",
                "language": {
                    "_target_": "anymodal.language.LanguageModel.from_pretrained",
                    "path_or_name": str(parts.parent / "lm"),
                },
            },
            "data": {"_target_": "tests.support.composed.plain_conversations"},
            "stage": {"trainable": ["language.model.*"], "losses": {"text": 1}},
        },
        "autoencoder": {
            "model": {
                "_target_": f"{objectives}.Autoencoding",
                "losses": {
                    "_target_": "anymodal.decoders.autoencoders.PictureAutoencoderLoss",
                    "autoencoder": {
                        "_target_": "anymodal.toybox.decoders.image_autoencoder",
                        "size": 16,
                        "channels": [8, 8],
                        "groups": 4,
                    },
                },
            },
            "data": {"_target_": "tests.support.composed.captioned"},
            "stage": {"losses": {"l1": 1, "l2": 1, "edge": 1, "kl": 1}},
        },
    }


REOPEN = {
    "bind": "anymodal.encoders.ImageBind.from_pretrained",
    "diffusion": "anymodal.decoders.DiffusionDecoder.from_pretrained",
    "language": "anymodal.language.LanguageModel.from_pretrained",
}


@pytest.mark.parametrize(
    "kind",
    ["perceive", "express", "instruct", "encoder", "bind", "diffusion", "language", "autoencoder"],
)
def test_two_steps_change_what_trains_and_nothing_else(
    parts: Path, tmp_path: Path, kind: str
) -> None:
    if kind == "instruct":
        AnyModal.compose(parts).save_pretrained(tmp_path / "saved")
    size = 24 if kind in ("perceive", "express", "instruct", "encoder") else 4
    config = write(tmp_path, kind, steps=2, batch_size=size, **stages(parts, tmp_path)[kind])
    run = read_run(config)
    fresh, _ = build(run)
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
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
    losses = logged(Path(run.output_dir))
    assert len(losses) == 2 and all(loss == loss for loss in losses)
    for name in run.stage.losses:
        assert logged(Path(run.output_dir), f"loss/{name}")


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


# ---- Stopping and going on ---------------------------------------------------------------------


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
    samples = 3 * (
        2 * changes.get("accumulate_grad_batches", 1) + 1
    )  # one batch after the second step
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
    assert logged(tmp_path / "straight")[-2:] == logged(tmp_path / "cut")[-2:]
    assert finished is not None
    files = [tmp_path / name / "model" / "toy.safetensors" for name in ("straight", "cut")]
    assert_same(*map(checkpoint.load_weights, files))


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
    assert logged(tmp_path / "straight")[-1:] == logged(tmp_path / "cut")[-1:]


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
            read_run(cut, ["data.cut=13"])
        )  # in each worker: seven batches are trained, of three steps
    assert last(tmp_path / "cut")["batches"] == 6
    fit(read_run(cut))
    first, second = last(tmp_path / "straight"), last(tmp_path / "cut")
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "batches"):
        assert_same(first[key], second[key])
    assert logged(tmp_path / "straight")[-2:] == logged(tmp_path / "cut")[-2:]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_workers_too_saves_and_stops(tmp_path: Path, number: int) -> None:
    """As Ctrl-C in a terminal and `scancel` send it."""
    data = {**TOY["data"], "count": 200, "slow": 0.01}
    path = write(tmp_path, data=data, steps=2000, workers=2, save_every=10_000)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os._exit(7 if train(path) is None else 1)
    until = time.monotonic() + 60
    while not logged_steps(tmp_path / "run") and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(child, number)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    found = last(tmp_path / "run")
    assert found["batches"] == found["global_step"] > 0


def test_a_signal_while_processes_ask_each_other_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As to one that waits there for others, most of the time."""
    asked: list[bool] = []

    def any_of(flag: bool) -> bool:
        asked.append(flag)
        if len(asked) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return flag

    monkeypatch.setattr(collectives, "any_rank", any_of)
    assert train(write(tmp_path, steps=6)) is None
    assert asked == [False, True] and last(tmp_path / "run")["global_step"] == 2


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
    assert logged(tmp_path / "straight")[-2:] == pytest.approx(
        logged(tmp_path / "other")[-2:], rel=1e-4
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("accumulate_grad_batches", [1, 2])
def test_a_signal_saves_and_stops_and_the_run_goes_on(
    tmp_path: Path, number: int, accumulate_grad_batches: int, capsys: pytest.CaptureFixture[str]
) -> None:
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
    assert f"stopped at step {found['global_step']} of 4; run it again" in capsys.readouterr().out
    assert train(stopped, ["data.stop=null"]) is not None
    for key in ("state_dict", "optimizer_states", "batches"):
        assert_same(last(tmp_path / "straight")[key], last(tmp_path / "stopped")[key])
    assert logged(tmp_path / "straight") == pytest.approx(logged(tmp_path / "stopped"), rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_run_killed_at_any_moment_loses_little_and_no_checkpoint(tmp_path: Path) -> None:
    changes = {"steps": 500, "save_every": 5, "log_every": 50}
    train(write(tmp_path, "straight", **changes))
    path, place = write(tmp_path, "killed", **changes), tmp_path / "killed" / "checkpoints"
    moments = random.Random(0)
    reached, kills, hits, done, trace = 0, 0, 0, False, tmp_path / "trace"
    while not done:
        # So slow that twenty kills fall within the run, wherever it is; then as fast as it can.
        overrides = [f"+data.trace={trace}", *(["+data.slow=0.005"] if kills < 20 else [])]
        child = os.fork()
        if child == 0:
            with open(os.devnull, "w") as null:
                os.dup2(null.fileno(), 1)
                os.dup2(null.fileno(), 2)
            os._exit(0 if train(path, overrides) is not None else 1)
        if kills < 20:
            while kills % 5 and not trace.exists():  # the others may hit it as it starts
                time.sleep(0.005)
            time.sleep(moments.uniform(0.05, 0.6))
            os.kill(child, signal.SIGKILL)
            kills += 1
        _, status = os.waitpid(child, 0)
        done = not os.WIFSIGNALED(status)
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
    assert os.WEXITSTATUS(status) == 0
    assert kills == 20 and hits >= 16, "most hit a run that was training"
    left = sorted(file.name for file in place.iterdir())
    assert left == ["last.ckpt", "previous.ckpt"], "nothing else is left of kills"
    for key in ("state_dict", "optimizer_states", "batches"):
        assert_same(last(tmp_path / "straight")[key], last(tmp_path / "killed")[key])


def test_the_command_tells_a_stopped_run_from_a_finished_one(tmp_path: Path) -> None:
    import argparse

    from anymodal.cli.train import INTERRUPTED, run

    path = str(write(tmp_path, data={**TOY["data"], "stop": [4, int(signal.SIGINT)]}))
    assert run(argparse.Namespace(items=[path], ray=None)) == INTERRUPTED
    assert run(argparse.Namespace(items=[path, "data.stop=null"], ray=None)) == 0


def test_a_finished_run_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, steps=1)
    finished = train(path)
    assert finished is not None
    (finished / "mine").write_text("feature_cache")
    assert train(path, ["seed=7"]) == finished
    assert (finished / "mine").read_text() == "feature_cache"
    assert "there already; delete it to train again" in capsys.readouterr().out


def test_a_run_that_only_lost_its_model_writes_it_again(tmp_path: Path) -> None:
    path = write(tmp_path, ema=0.5)
    finished = train(path)
    assert finished is not None
    before = checkpoint.load_weights(finished / "toy.safetensors")
    finished.rename(tmp_path / "gone")
    assert train(path) == finished
    assert_same(before, checkpoint.load_weights(finished / "toy.safetensors"))
    assert len(logged(tmp_path / "run")) == 4


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
    assert len(logged(out)) == 2 and len(logged(out, "loss/square")) == 2
    assert list((out / "logs").glob("events.out.tfevents.*"))
    (out / "model").rename(tmp_path / "gone")
    train(write(tmp_path, steps=4))
    assert len(logged(out)) == 4


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.ones(3)}, path)
    with small_disk(20_000), pytest.raises(OSError, match=r"could not write .*untouched"):
        AtomicCheckpointIO().save_checkpoint({"a": torch.ones(50_000)}, path)
    assert_same(AtomicCheckpointIO().load_checkpoint(path), {"a": torch.ones(3)})
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    with pytest.raises(ValueError, match="local files only"):
        AtomicCheckpointIO().load_checkpoint("https://host/last.ckpt")


# ---- What goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("losses", [{"square": 1.0}, {"square": 1.0, "root": 1e-30}])
def test_a_bad_step_is_skipped(
    tmp_path: Path, losses: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A loss that isn't finite, or (the root, whose slope at 0 is infinite) its gradient."""
    gradient = "root" in losses
    data = {**TOY["data"], "count": 12, "bad": [] if gradient else [0]}
    stage = {"trainable": ["layer.*"], "losses": losses}
    run = read_run(write(tmp_path, data=data, stage=stage, max_skipped=5))
    if gradient:
        with pytest.raises(ConfigError, match=r"nothing was learned in 4 batches.*gradient norm"):
            fit(run)
        found = last(tmp_path / "run")
    else:
        fit(run)
        found = last(tmp_path / "run")
        assert found["global_step"] == 4
    told = capsys.readouterr().out
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
        fit(read_run(write(tmp_path, model=model, data=data, **more)))
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


@pytest.mark.parametrize("bad", [True, False], ids=["all of a step", "most of each step"])
def test_steps_are_what_is_counted_where_batches_accumulate(
    tmp_path: Path, bad: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twelve batches in three steps, of which none or the last of each four is good."""
    drawn = Batches(range(36), list, 3, 0)
    spared = [] if bad else [index for batch in (3, 7, 11) for index in drawn.indices(batch)]
    data = {**TOY["data"], "count": 36, "bad": sorted(set(range(36)) - set(spared))}
    path = write(
        tmp_path, data=data, steps=3, accumulate_grad_batches=4, max_skipped=3, save_every=1
    )
    if not bad:
        train(path)
        assert last(tmp_path / "run")["skipped"] == [0, 9]
        return
    with pytest.raises(FloatingPointError, match=r"3 bad steps in a row, the last at batch 12 \("):
        train(path)
    assert last(tmp_path / "run")["skipped"] == [2, 8]
    told = [line for line in capsys.readouterr().out.splitlines() if "loss nan, skipped" in line]
    assert len(told) == 12 and ", ".join(map(str, drawn.indices(11))) in told[-1]


def test_a_gradient_that_isn_t_finite_is_all_its_batches_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = {"trainable": ["layer.*"], "losses": {"square": 1.0, "root": 1e-30}}
    path = write(
        tmp_path, stage=stage, steps=3, accumulate_grad_batches=2, max_skipped=2, save_every=1
    )
    with pytest.raises(FloatingPointError, match=r"2 bad steps .* the last at batches 3 to 4 \("):
        train(path)
    assert last(tmp_path / "run")["skipped"] == [1, 2]
    assert "batches 1 to 2 (samples" in capsys.readouterr().out


def test_a_bad_batch_at_a_step_s_end_loses_none_where_losses_are_scaled(
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
    drawn = Batches(range(8), list, 4, 0)
    data = {**TOY["data"], "count": 8, "bad": drawn.indices(1)}
    run = read_run(write(tmp_path, data=data, steps=1, accumulate_grad_batches=2, batch_size=4))
    before = build(run)[0].layer.weight.clone()
    _, module = fit(run)
    after = module.model.layer.weight
    assert not torch.equal(before, after), "the good batch of the step counts"
    assert torch.isfinite(after).all()


def test_batches_without_a_wanted_loss_are_skipped_but_not_forever(tmp_path: Path) -> None:
    toy = composed.Toy
    toy.loss_names = ("square", "root", "rare")  # type: ignore[attr-defined]
    try:
        path = write(tmp_path, stage={"losses": {"rare": 1}}, max_skipped=2)
        with pytest.raises(
            FloatingPointError, match=r"\(samples \d.*no loss of \['rare'\], only \['square'"
        ):
            train(path)
    finally:
        del toy.loss_names  # type: ignore[attr-defined]


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


# ---- Pieces ------------------------------------------------------------------------------------


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
        ({"model": {"_target_": "torch.nn.ReLU"}}, "ReLU has no collate"),
    ],
)
def test_what_would_undo_a_run_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        train(write(tmp_path, trusted_packages=["tests", "torch"], **changes))


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


def test_batches_depend_on_seed_and_number_alone() -> None:
    def first(start: int, count: int, seed: int = 0) -> list[list[int]]:
        batches = iter(Batches(range(7), list, 3, seed, lambda: start))
        return [next(batches) for _ in range(count)]

    straight = first(0, 14)
    assert first(5, 9) == straight[5:] and first(0, 14, seed=1) != straight
    for epoch in range(6):
        flat = [index for batch in straight for index in batch][7 * epoch : 7 * (epoch + 1)]
        assert sorted(flat) == list(range(7))
    with pytest.raises(ValueError, match="the data set is empty"):
        Batches([], list, 3, 0)


def test_workers_take_turns() -> None:
    def some(workers: int) -> list[list[int]]:
        found = iter(loader(Batches(range(7), list, 2, 0, lambda: 3), workers))
        return [next(found) for _ in range(4)]

    assert some(2) == some(0)


def test_the_rate_warms_up_and_decays() -> None:
    for schedule, end in (("constant", 1.0), ("linear", 0.1), ("cosine", 0.1)):
        settings = Optimizer(warmup_ratio=0.1, schedule=schedule, min_lr_ratio=0.1)
        rates = [settings.rate(step, 100) for step in range(101)]
        assert rates[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
        assert rates[10] == pytest.approx(1.0) and rates[100] == pytest.approx(end)
        assert rates[10:] == sorted(rates[10:], reverse=True)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 8)
        self.layer = nn.Linear(8, 24)
        self.table = nn.Parameter(torch.randn(3, 24))
        self.frozen = nn.Linear(24, 8).requires_grad_(False)
        self.mixer = nn.MultiheadAttention(24, 2)


def test_muon_takes_the_matrices_of_layers_and_adamw_the_rest() -> None:
    torch.manual_seed(0)
    model = Small()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    settings = Optimizer(lr=1e-3, weight_decay=0.0, muon=MuonConfig(["layer.*", "mixer.*"], 1e-2))
    optimizer = build_optimizer(model, settings)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    moved = {name: (p.detach() - before[name]) for name, p in model.named_parameters()}
    for name in ("layer.weight", "mixer.in_proj_weight", "mixer.out_proj.weight"):
        # Close to orthogonal, of a size that doesn't depend on the shape: 0.2 of the rate.
        singular = torch.linalg.svdvals(moved[name])
        assert singular.max() / singular.min() < 2.5
        assert moved[name].square().mean().sqrt() == pytest.approx(0.2 * 1e-2, rel=0.3)
    for name in ("embedding.weight", "table", "layer.bias", "mixer.in_proj_bias"):
        assert moved[name].abs().max() == pytest.approx(1e-3, rel=1e-2)
    assert not any(moved[name].any() for name in ("frozen.weight", "frozen.bias"))


def test_one_schedule_moves_both_rates() -> None:
    optimizer = build_optimizer(Small(), Optimizer(lr=1e-3, muon=MuonConfig(["layer.*"], 1e-2)))
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
    assert [group["lr"] for part in optimizer.parts for group in part.param_groups] == [
        pytest.approx(lr) for lr in (5e-3, 5e-4, 5e-4)
    ]


def test_muon_names_what_matches_nothing() -> None:
    with pytest.raises(
        ConfigError, match=r"'frozen\.\*' matches no linear layer that trains.*layer"
    ):
        build_optimizer(Small(), Optimizer(muon=MuonConfig(["frozen.*"])))


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


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_the_average_is_of_weights_of_any_type(tmp_path: Path, precision: str) -> None:
    _, module = fit(read_run(write(tmp_path, ema=0.9, precision=precision, data=TOY["data"])))
    average = last(tmp_path / "run")["callbacks"]["MovingAverage"]["average"]
    kind = torch.float64 if precision == "64-true" else torch.float32
    assert {value.dtype for value in average.values()} == {kind}
    weight = module.model.layer.weight
    assert torch.equal(weight, average["model.layer.weight"].to(weight.dtype))


def test_the_average_warms_up() -> None:
    average = MovingAverage(0.9)
    module = L.LightningModule()
    module.weight = nn.Parameter(torch.zeros(1))
    trainer = type("T", (), {"global_step": 0})()
    average.on_train_start(trainer, module)
    expected = 0.0
    for step in range(1, 5):
        with torch.no_grad():
            module.weight.fill_(step)
        trainer.global_step = step
        average.on_train_batch_end(trainer, module)
        average.on_train_batch_end(trainer, module)  # between steps: nothing
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    average.apply(module)
    assert module.weight.item() == pytest.approx(expected)


def test_tests_leave_the_shared_model_alone() -> None:
    assert not any(p.requires_grad for p in tiny_model().parameters())
