"""Precisions: each trains every kind of stage as float32 does, up to its last bits."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.model import AnyModal
from anymodal.training.building import build
from anymodal.training.module import StageModule
from anymodal.training.precompute import fill_feature_cache
from anymodal.training.run import fit, read_run, train
from tests.distributed.test_processes import TOY as TOGETHER
from tests.distributed.test_processes import write as write_together
from tests.support import composed
from tests.support.cached_runs import Calls
from tests.support.runs import TOY, assert_same, last, read_log, stages, write
from tests.support.together import run_together

TYPES = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64-true": torch.float64}
KINDS = ("perceive", "express", "instruct", "encoder", "bind", "diffusion", "language")

SLOW = {"perceive", "express", "encoder"}
"""Of a kind with `instruct` and `bind`, which are run each time."""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return composed.write_model(tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.extended] * (kind in SLOW))
        for kind in (*KINDS, "autoencoder")
    ],
)
def test_every_stage_learns_in_every_precision(parts: Path, tmp_path: Path, kind: str) -> None:
    if kind == "instruct":
        AnyModal.compose(parts).save_pretrained(tmp_path / "saved")
    size = 24 if kind in ("perceive", "express", "instruct", "encoder") else 4
    stage = {"steps": 3, "batch_size": size, **stages(parts, tmp_path)[kind]}
    train(write(tmp_path, "32-true", **stage))
    expected = read_log(tmp_path / "32-true")
    for precision, dtype in TYPES.items():
        assert train(write(tmp_path, precision, precision=precision, **stage)) is not None
        assert {v.dtype for v in last(tmp_path / precision)["state_dict"].values()} == {dtype}
        assert last(tmp_path / precision)["skipped"] == [0, 0]
        rough = {torch.bfloat16: 1e-2, torch.float16: 3e-3, torch.float64: 1e-4}[dtype]
        rough = 2e-2 if kind == "autoencoder" else rough  # whose noise is drawn in that type
        assert read_log(tmp_path / precision) == pytest.approx(expected, rel=rough), precision


def test_steps_below_a_last_bit_add_up(tmp_path: Path) -> None:
    """At 1e-4 a weight of about 0.5 moves by less than bfloat16 tells apart at a time."""
    slow = {"optimizer": {"lr": 1e-4, "schedule": "constant", "weight_decay": 0.0}, "steps": 40}
    model = {**TOY["model"], "noise": 0.0}
    moved = {}
    for precision in ("32-true", "bf16-true", "16-true"):
        run = read_run(write(tmp_path, precision, precision=precision, model=model, **slow))
        before = build(run)[0].model.layer.weight.detach().clone()
        _, module = fit(run)
        moved[precision] = (module.model.layer.weight.float() - before).detach()
    for precision in ("bf16-true", "16-true"):
        torch.testing.assert_close(moved[precision], moved["32-true"], rtol=0.5, atol=1e-3)


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "64-true"])
@pytest.mark.parametrize("muon", [[], ["layer.*"]], ids=["adamw", "muon"])
def test_a_run_cut_off_goes_on_to_the_bit(tmp_path: Path, precision: str, muon: list[str]) -> None:
    more: dict[str, Any] = {"precision": precision, "ema": 0.5, "accumulate_grad_batches": 2}
    more["optimizer"] = {"lr": 1e-3, "muon": {"params": muon}}
    train(write(tmp_path, "straight", **more))
    cut = write(tmp_path, "cut", **more, data={**TOY["data"], "cut": 15})
    with pytest.raises(OSError, match="the power is cut"):
        train(cut)
    train(cut, ["data.cut=null"])
    first, second = last(tmp_path / "straight"), last(tmp_path / "cut")
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks"):
        assert_same(first[key], second[key])
    states = first["optimizer_states"][0]["state"]
    dtype = torch.float64 if precision == "64-true" else torch.float32
    kept = [v for held in states.values() for k, v in held.items() if k != "step"]
    assert {value.dtype for value in kept} == {dtype}


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_processes_go_on_as_one(tmp_path: Path, strategy: str) -> None:
    toy = {**TOGETHER, "precision": "bf16-true", "optimizer": {"max_grad_norm": 1e9}}
    train(write_together(tmp_path, "straight", **toy), ["batch_size=8"])
    config = write_together(tmp_path, "two", **toy, save_every=3)
    together = [f"+trainer.strategy={strategy}"]

    def cut(rank: int) -> None:
        with pytest.raises((OSError, RuntimeError)):
            train(config, [*together, "+data.cut=18"])

    run_together(cut, tmp_path / "first")
    run_together(lambda rank: train(config, together), tmp_path / "second")
    first, second = last(tmp_path / "straight"), last(tmp_path / "two")
    for key in ("state_dict", "optimizer_states"):
        assert_same(first[key], second[key], rtol=3e-2, atol=1e-3)


def test_rotary_embeddings_keep_their_rates(parts: Path, tmp_path: Path) -> None:
    run = read_run(write(tmp_path, precision="bf16-true", **stages(parts, tmp_path)["perceive"]))
    objective, _ = build(run)
    model = objective.model
    before = {n: b.clone() for n, b in model.named_buffers() if n.endswith("inv_freq")}
    StageModule(objective, run)
    after = dict(model.named_buffers())
    assert before
    for name, rates in before.items():
        assert_same(rates, after[name])


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_a_filled_cache_is_what_the_run_looks_for(
    parts: Path, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(monkeypatch)
    stage = stages(parts, tmp_path)["perceive"]
    more = {
        "precision": precision,
        "batch_size": 4,
        "feature_cache": {"dir": str(tmp_path / "cache")},
    }
    path = write(tmp_path, **{**stage, **more}, steps=2)
    fill_feature_cache(path)
    assert calls.take_counts()[0] > 0
    fit(read_run(path))
    assert calls.take_counts()[0] == 0, "all features were there"


def test_an_unknown_precision_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no precision 'bf16-tru'; did you mean 'bf16-true'"):
        read_run(write(tmp_path, precision="bf16-tru"))


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_precision_auto_is_what_the_device_is_quick_with(
    tmp_path: Path, native: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anymodal.training.precision.computes_bfloat16", lambda device: native)
    config = write(tmp_path, precision="auto", steps=1, trainer={"accelerator": "cpu"})
    assert read_run(config).precision == expected
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(config)
    if not native:
        with pytest.warns(UserWarning, match="no instructions for bfloat16"):
            train(write(tmp_path, "half", precision="bf16-mixed", steps=1))
