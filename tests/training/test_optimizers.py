"""Optimizers and rates."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from anymodal.config import ConfigError
from anymodal.training.configuration import MuonConfig, OptimizerConfig
from anymodal.training.optimizers import build_optimizer
from tests.support.composed import write_model


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
