"""Optimizers and rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from anymodal.config import ConfigError
from anymodal.training.muon import BatchedMuon
from anymodal.training.optimizer_configuration import GroupConfig, MuonConfig, OptimizerConfig
from anymodal.training.optimizers import build_optimizer, schedule_of
from anymodal.training.run import read_run, train
from anymodal.training.schedules import SCHEDULES
from tests.support.composed import write_model
from tests.support.runs import TOY, assert_same, last, read_log, write


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


def test_the_rate_warms_up_and_decays() -> None:
    for schedule, end in (("constant", 1.0), ("linear", 0.1), ("cosine", 0.1)):
        settings = OptimizerConfig(warmup_ratio=0.1, schedule=schedule, min_lr_ratio=0.1)
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
    settings = OptimizerConfig(
        lr=1e-3, weight_decay=0.0, muon=MuonConfig(["layer.*", "mixer.*"], 1e-2)
    )
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


@pytest.mark.parametrize("native", [False, True])
def test_muon_steps_as_torch_s_own(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anymodal.training.muon.computes_bfloat16", lambda device: native)
    torch.manual_seed(0)
    shapes = [(8, 24), (24, 8), (8, 24), (16, 16)]
    start = [torch.randn(shape) for shape in shapes]
    pairs = []
    for kind in (BatchedMuon, torch.optim.Muon):
        weights = [nn.Parameter(each.clone()) for each in start]
        pairs.append((kind(weights, lr=0.1, adjust_lr_fn="match_rms_adamw"), weights))
    for _ in range(3):
        gradients = [torch.randn(shape) for shape in shapes]
        for optimizer, weights in pairs:
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()
    (own, moved), (torch_s, expected) = pairs
    # Both iterate in few steps, and torch in bfloat16: a few per cent of an update's size apart.
    for one, other, before in zip(moved, expected, start, strict=True):
        torch.testing.assert_close(one - before, other - before, rtol=0.05, atol=0.01)
    own.load_state_dict(torch_s.state_dict())
    for weight in (*moved, *expected):
        weight.grad = None
    own.step()


def test_one_schedule_moves_both_rates() -> None:
    optimizer = build_optimizer(
        Small(), OptimizerConfig(lr=1e-3, muon=MuonConfig(["layer.*"], 1e-2))
    )
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
    assert [group["lr"] for part in optimizer.parts for group in part.param_groups] == [
        pytest.approx(lr) for lr in (5e-3, 5e-4, 5e-4)
    ]


def test_muon_names_what_matches_nothing() -> None:
    with pytest.raises(
        ConfigError, match=r"'frozen\.\*' matches no linear layer that trains.*layer"
    ):
        build_optimizer(Small(), OptimizerConfig(muon=MuonConfig(["frozen.*"])))


def test_every_schedule_decays_from_the_peak_to_the_least() -> None:
    for schedule in SCHEDULES:
        settings = OptimizerConfig(warmup_ratio=0.1, schedule=schedule, min_lr_ratio=0.1)
        rates = [settings.rate(step, 100) for step in range(10, 101)]
        assert rates == sorted(rates, reverse=True) and rates[0] == pytest.approx(1.0)
        assert rates[-1] == pytest.approx(1.0 if schedule == "constant" else 0.1)
    assert OptimizerConfig(schedule="stable").rate(75, 100) == 1.0


def test_groups_have_rates_schedules_and_decays_of_their_own() -> None:
    groups = {
        "layer.bias": GroupConfig(lr=5e-2),
        "layer.*": GroupConfig(lr=1e-2, weight_decay=0.5, schedule="constant", warmup_ratio=0.0),
    }
    settings = OptimizerConfig(lr=1e-3, warmup_ratio=0.5, schedule="linear", groups=groups)
    model = Small()
    optimizer = build_optimizer(model, settings)
    schedule = schedule_of(optimizer, settings, 10)
    names = {id(p): name for name, p in model.named_parameters()}
    found = {
        names[id(p)]: (group["initial_lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert found["layer.weight"] == (1e-2, 0.5) and found["layer.bias"] == (5e-2, 0.0)
    assert found["table"] == (1e-3, 0.01) and found["mixer.in_proj_bias"] == (1e-3, 0.0)
    assert len(found) == sum(p.requires_grad for p in model.parameters())
    rates = {group.get("name", ""): group["lr"] for group in optimizer.param_groups}
    assert rates == {"": 2e-4, "layer.*": 1e-2, "layer.bias": pytest.approx(1e-2)}
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(4e-4)


@pytest.mark.parametrize("name", ["SGD", "Adafactor", "RMSprop", "NAdam"])
def test_an_optimizer_by_name_trains_and_goes_on(tmp_path: Path, name: str) -> None:
    groups = {"*.bias": {"lr": 1e-4, "schedule": "constant"}}
    run: dict[str, Any] = {"optimizer": {"algorithm": name, "groups": groups}}
    train(write(tmp_path, "straight", **run))
    cut = write(tmp_path, "cut", data={**TOY["data"], "cut": 9}, **run)
    with pytest.raises(OSError, match="the power is cut"):
        train(cut)
    train(cut, ["data.cut=null"])
    for key in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_same(last(tmp_path / "straight")[key], last(tmp_path / "cut")[key])
    assert read_log(tmp_path / "straight", "lr/*.bias") == pytest.approx([1e-4] * 4)
    other = write(tmp_path, "cut", optimizer={"algorithm": name})
    (tmp_path / "cut" / "model").rename(tmp_path / "gone")
    with pytest.raises(ConfigError, match=rf"{name} in groups \*\.bias and this one has"):
        train(other)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({"algorithm": "sgd"}, "torch.optim has no 'sgd' to use; did you mean 'SGD'"),
        ({"algorithm": "LBFGS"}, "torch.optim has no 'LBFGS' to use"),
        ({"algorithm": "Muon"}, "Muon takes matrices alone, so name them by optimizer.muon"),
        ({"algorithm": {"_target_": "torch.optim.SparseAdam"}}, "has no 'SparseAdam' to use"),
        ({"algorithm": {"_target_": "torch.optim.Muon"}}, "Muon takes matrices alone"),
        (
            {"algorithm": {"_target_": "torch.optim.NAdam", "betas": [0.9, 0.9, 0.9]}},
            r"NAdam\)\.betas must have 2 items, not \[0\.9, 0\.9, 0\.9\]",
        ),
        (
            {"algorithm": {"_target_": "torch.optim.SGD", "weight_decay": 0.1}},
            "'weight_decay' by the run; take it out and give optimizer.weight_decay",
        ),
        ({"algorithm": "NAdam", "betas": [0.8, 0.9]}, "betas are AdamW's own"),
        ({"groups": {"layer.*": {"lr": 0.0}}}, r"optimizer\.groups\.layer\.\*\.lr must be more"),
        ({"groups": {"layer.*": {"ls": 1.0}}}, "no key.*ls"),
        ({"groups": {"layer.*": {"schedule": "cosin"}}}, "did you mean 'cosine'"),
    ],
)
def test_wrong_optimizers_and_groups_are_refused(
    tmp_path: Path, optimizer: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_run(write(tmp_path, optimizer=optimizer))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            {"algorithm": {"_target_": "torch.optim.SGD", "foreach": True, "fused": True}},
            "SGD can't be built: `fused` and `foreach`",
        ),
        (
            {"algorithm": {"_target_": "torch.optim.Adam", "capturable": True}},
            "Adam can't step with .*capturable.* on cpu: If capturable=True",
        ),
        (
            {"algorithm": {"_target_": "torch.optim.SGD", "differentiable": True}},
            "SGD can't step with .*differentiable.* on cpu: a leaf Variable",
        ),
        ({"algorithm": "Rprop", "weight_decay": 0.1}, "weight_decay=0.1 is unknown to Rprop"),
    ],
)
def test_optimizers_that_do_not_fit_are_refused(
    tmp_path: Path, optimizer: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(write(tmp_path, optimizer=optimizer))


def test_a_group_of_nothing_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, optimizer={"groups": {"frozen.*": {"lr": 1.0}}})
    with pytest.raises(ConfigError, match=r"optimizer\.groups.*matches no parameter that trains"):
        train(path)


def test_a_group_whose_parameters_are_taken_before_is_refused() -> None:
    groups = {"layer.*": GroupConfig(lr=1e-5), "layer.bias": GroupConfig(lr=1e-2)}
    with pytest.raises(ConfigError, match=r"'layer.bias'\] has no .* is 'layer\.\*'; write '"):
        build_optimizer(Small(), OptimizerConfig(groups=groups))
    turned = OptimizerConfig(groups=dict(reversed(groups.items())))
    rates = {group["lr"] for group in build_optimizer(Small(), turned).param_groups}
    assert rates == {1e-5, 1e-2, turned.lr}


MUON = {"params": ["layer.weight"], "lr": 1e-3}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"lr": 1e-3}, {"lr": 1e-2, "weight_decay": 0.5, "betas": [0.5, 0.6]}),
        ({"groups": {"*": {"lr": 1e-3}}}, {"groups": {"*": {"lr": 1e-2, "weight_decay": 0.5}}}),
        ({"muon": MUON}, {"muon": {**MUON, "lr": 1e-2}, "weight_decay": 0.5}),
        ({"algorithm": "SGD"}, {"algorithm": "SGD", "lr": 1e-2, "weight_decay": 0.5}),
    ],
    ids=["AdamW", "groups", "Muon", "SGD"],
)
def test_a_run_that_goes_on_has_the_settings_of_now(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    steady: dict[str, Any] = {"schedule": "linear", "warmup_ratio": 0.0, "min_lr_ratio": 0.0}
    # Of half weights copies are stepped, by an optimizer within the one that is saved.
    more = {"precision": "bf16-true" if "muon" in before else "32-true"}
    train(write(tmp_path, steps=2, optimizer={**steady, **before}, **more))
    first = last(tmp_path / "run")["optimizer_states"][0]["param_groups"]
    assert {group["initial_lr"] for group in first} == {1e-3}
    train(write(tmp_path, steps=4, optimizer={**steady, **after}, **more))
    found = last(tmp_path / "run")
    fresh = write(tmp_path, "fresh", steps=4, optimizer={**steady, **after}, **more)
    train(fresh)
    expected = last(tmp_path / "fresh")
    assert_same(found["lr_schedulers"], expected["lr_schedulers"])
    groups, wanted = (each["optimizer_states"][0]["param_groups"] for each in (found, expected))
    for group, one in zip(groups, wanted, strict=True):
        assert group == one
    # A linear fall after the first of four steps: at the third and the fourth ⅔ and ⅓ are left.
    column = next(name for name in ("lr/muon", "lr/*", "lr") if read_log(tmp_path / "run", name))
    assert read_log(tmp_path / "run", column)[2:] == pytest.approx([2e-2 / 3, 1e-2 / 3])


def test_other_arguments_of_an_optimizer_are_refused_where_a_run_goes_on(tmp_path: Path) -> None:
    sgd = {"_target_": "torch.optim.SGD", "momentum": 0.9}
    train(write(tmp_path, steps=2, optimizer={"algorithm": sgd}))
    with pytest.raises(ConfigError, match=r"'momentum': 0.9\} and this one has \{'momentum': 0.5"):
        train(write(tmp_path, steps=4, optimizer={"algorithm": {**sgd, "momentum": 0.5}}))
    path = write(tmp_path, steps=4, optimizer={"algorithm": sgd})
    assert train(path) is not None and last(tmp_path / "run")["global_step"] == 4


def test_epochs_say_how_many_steps(tmp_path: Path) -> None:
    """7 samples in batches of 3, two of which make a step: an epoch is 1.17 steps."""
    path = write(tmp_path, steps=0, epochs=3, accumulate_grad_batches=2)
    assert train(path) is not None
    assert last(tmp_path / "run")["global_step"] == 4
    assert read_run(tmp_path / "run" / "run.yaml").epochs == 3
    for wrong in ({"steps": 4, "epochs": 2.0}, {"steps": 0}):
        with pytest.raises(ConfigError, match="give steps or epochs"):
            read_run(write(tmp_path, **wrong))
