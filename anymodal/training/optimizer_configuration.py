"""Optimizers and their learning rates as data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from anymodal.config import ConfigError, shorten, suggest
from anymodal.training.schedules import SCHEDULES, rate_at

TINY, HUGE = 1e-12, 1e12
"""The least of what must be more than 0, and the most of what has no limit."""
TORCH = "torch.optim."
UNFIT = ("LBFGS", "Muon", "Optimizer", "SparseAdam")
"""Classes of `torch.optim` that can't have all that trains: they need closures, sparse gradients,
or matrices alone, which `optimizer.muon` names."""


@dataclass
class MuonConfig:
    """Muon, instead of AdamW, for the weights of linear layers whose names match a glob.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. Embeddings and output
    layers are better left to AdamW.

    Args:
        params: globs over the names of weights of linear layers; none for AdamW alone.
        lr: Muon's learning rate, several times AdamW's.
    """

    params: list[str] = field(default_factory=list)
    lr: float = 1e-2


@dataclass
class GroupConfig:
    """Settings of the parameters whose names match a glob; null takes the optimizer's own.

    Args:
        lr: the peak learning rate.
        weight_decay: of matrices.
        schedule: what follows the warm-up.
        warmup_ratio: share of all steps over which the rate grows linearly from 0.
        min_lr_ratio: the rate at the last step, as a share of `lr`.
    """

    lr: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    warmup_ratio: float | None = None
    min_lr_ratio: float | None = None


@dataclass
class OptimizerConfig:
    """AdamW with a warm-up and a decay, and Muon for the matrices that `muon` names.

    Args:
        lr: the peak learning rate.
        betas: AdamW's decay rates of the gradient's mean and of its square.
        weight_decay: decoupled weight decay.
        warmup_ratio: share of all steps over which the rate grows linearly from 0.
        schedule: what follows the warm-up: `constant`, `linear`, `cosine`, `quadratic`,
            `square_root` (1 - √), or `stable`, which stays for 80 % and then falls linearly.
        min_lr_ratio: the rate at the last step, as a share of `lr`.
        fused: update all of a weight in one pass, by default on a processor and on CUDA; not with
            `precision: 16-mixed`.
        max_grad_norm: the largest norm of the gradient; a larger one is scaled down.
        muon: which matrices Muon trains instead.
        groups: settings of their own for parameters whose names match a glob, such as
            `{"projection.*": {lr: 1e-3}}`; of several globs the first that matches counts.
        algorithm: another optimizer: the name of a class of `torch.optim`, such as `SGD`, or a
            part, whose further arguments are its own; it is given the parameters and `lr`.
    """

    lr: float = 1e-3
    betas: list[float] = field(default_factory=lambda: [0.9, 0.99])
    weight_decay: float = 0.01
    warmup_ratio: float = 0.05
    schedule: str = "cosine"
    min_lr_ratio: float = 0.05
    fused: bool | None = None
    max_grad_norm: float = 1.0
    muon: MuonConfig = field(default_factory=MuonConfig)
    groups: dict[str, GroupConfig] = field(default_factory=dict)
    algorithm: Any = None

    @property
    def name(self) -> str:
        """The optimizer's name in checkpoints, with its groups, whose states it keeps in order."""
        name = "AdamW and Muon" if self.muon.params else "AdamW"
        if self.algorithm is not None:
            name = str(self.algorithm["_target_"])
        return f"{name} in groups {', '.join(self.groups)}" if self.groups else name

    @property
    def arguments(self) -> dict[str, Any]:
        """The further arguments of another optimizer, which its state in checkpoints depends on."""
        return {key: value for key, value in (self.algorithm or {}).items() if key != "_target_"}

    def of_group(self, name: str) -> OptimizerConfig:
        """The settings of a group by its glob; of any other name these."""
        group = self.groups.get(name)
        if group is None:
            return self
        return replace(self, **{k: v for k, v in vars(group).items() if v is not None})

    def rate(self, step: int, steps: int) -> float:
        """The factor on `lr` at a step of so many."""
        return rate_at(step, steps, self.schedule, self.warmup_ratio, self.min_lr_ratio)

    def ranges(self) -> Iterator[tuple[str, float, float, float]]:
        """Settings, by name, with their least and most."""
        yield "lr", self.lr, TINY, HUGE
        yield "muon.lr", self.muon.lr, TINY, HUGE
        yield "weight_decay", self.weight_decay, 0, HUGE
        yield "warmup_ratio", self.warmup_ratio, 0, 1
        yield "min_lr_ratio", self.min_lr_ratio, 0, 1
        yield "max_grad_norm", self.max_grad_norm, TINY, math.inf
        for place, beta in enumerate(self.betas):
            yield f"betas[{place}]", beta, 0, 1 - TINY
        for name in self.groups:
            settings = self.of_group(name)
            yield f"groups.{name}.lr", settings.lr, TINY, HUGE
            yield f"groups.{name}.weight_decay", settings.weight_decay, 0, HUGE
            yield f"groups.{name}.warmup_ratio", settings.warmup_ratio, 0, 1
            yield f"groups.{name}.min_lr_ratio", settings.min_lr_ratio, 0, 1

    def check(self, precision: str) -> None:
        """Refuse what can't go together.

        Raises:
            ConfigError: naming the keys.
        """
        if isinstance(self.algorithm, str):
            self.algorithm = {"_target_": f"{TORCH}{_optimizer_name(self.algorithm)}"}
        elif isinstance(self.algorithm, Mapping):
            target = str(self.algorithm.get("_target_"))
            if target.startswith(TORCH) and target.count(".") == TORCH.count("."):
                _optimizer_name(target.removeprefix(TORCH))
        if len(self.betas) != 2:
            raise ConfigError(f"optimizer.betas must be two numbers, not {shorten(self.betas)}")
        if self.fused and precision == "16-mixed":
            raise ConfigError(
                "optimizer.fused scales float16's gradients back after they are clipped; "
                "switch it off, or take precision=bf16-mixed"
            )
        if self.algorithm is not None and (self.fused or self.muon.params):
            raise ConfigError("optimizer.algorithm takes the place of fused AdamW and of Muon")
        if self.algorithm is not None and self.betas != OptimizerConfig().betas:
            raise ConfigError(
                "optimizer.betas are AdamW's own; give another optimizer its arguments in "
                "algorithm, as {_target_: torch.optim.NAdam, betas: [0.9, 0.99]}"
            )
        for schedule in [self.schedule, *(self.of_group(name).schedule for name in self.groups)]:
            if schedule not in SCHEDULES:
                raise ConfigError(f"no schedule {shorten(schedule)}{suggest(schedule, SCHEDULES)}")


def _optimizer_name(name: str) -> str:
    """A class of `torch.optim` by its name.

    Raises:
        ConfigError: if there is none, with the nearest right one.
    """
    names = [
        each
        for each, kind in vars(torch.optim).items()
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and each not in UNFIT
    ]
    if name not in names:
        by_letters = {each.lower(): each for each in names}
        hint = suggest(by_letters.get(name.lower(), name), names)
        if name.lower() == "muon":
            hint = "; Muon takes matrices alone, so name them by optimizer.muon.params"
        raise ConfigError(f"optimizer.algorithm: torch.optim has no {shorten(name)} to use{hint}")
    return name
