"""AdamW, and Muon for the matrices of hidden layers, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from anymodal.config import ConfigError, resolve_target
from anymodal.training.muon import BatchedMuon
from anymodal.training.optimizer_configuration import TORCH, OptimizerConfig
from anymodal.training.schedules import RunSchedule
from anymodal.training.trainable import match_names

FUSED_DEVICES = ("cpu", "cuda")
"""Devices on which AdamW updates a weight in one pass by default."""


class MuonAdamW(Optimizer):
    """Muon for some matrices and AdamW for the rest, over one list of groups and one state.

    Source: Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/), with the update's size
    matched to AdamW's (Liu et al. 2025, https://arxiv.org/abs/2502.16982, section 2.2).

    Args:
        muon: for the matrices.
        adamw: for everything else.
    """

    def __init__(self, muon: BatchedMuon, adamw: AdamW) -> None:
        self.parts: tuple[Optimizer, Optimizer] = (muon, adamw)
        super().__init__([*muon.param_groups, *adamw.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Let both parts work on this optimizer's own groups and state."""
        # By slices, which share the groups' dictionaries: a schedule sets rates in them.
        first = len(self.parts[0].param_groups)
        for part, groups in zip(self.parts, (slice(first), slice(first, None)), strict=True):
            part.param_groups = self.param_groups[groups]
            part.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state, which must come from the same groups."""
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter; the loss of the closure comes back."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss


class MasterWeights(Optimizer):
    """Keep weights of half precision in float32, step those, and round what comes out.

    What one step adds is below half precision's last bit, and float16 has no room for the squares
    of gradients (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740, section 3.1).

    Args:
        pairs: weights as the model has them, each with what is stepped in its place: a copy in
            float32, or itself.
        inner: an optimizer of the latter.
    """

    def __init__(self, pairs: list[tuple[nn.Parameter, nn.Parameter]], inner: Optimizer) -> None:
        self.inner, self.pairs = inner, [pair for pair in pairs if pair[0] is not pair[1]]
        own = {id(master): weight for weight, master in pairs}
        groups = [
            {**group, "params": [own[id(master)] for master in group["params"]]}
            for group in inner.param_groups
        ]
        super().__init__(groups, {})
        self.state = inner.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter; the loss of the closure comes back."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # A schedule sets rates on this optimizer's groups; the inner one steps by its own.
        _copy_settings(self.param_groups, self.inner.param_groups)
        for weight, master in self.pairs:
            master.grad = None if weight.grad is None else weight.grad.to(master.dtype)
        self.inner.step()
        for weight, master in self.pairs:
            if master.grad is not None:
                weight.copy_(master)  # rounds to the weight's own dtype
                master.grad = None
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's own, with each float32 copy beside the state of its weight."""
        _copy_settings(self.param_groups, self.inner.param_groups)
        states: dict[str, Any] = self.inner.state_dict()
        # Copies alone: a float32 weight is its own master and is in the model's part already.
        copies = {id(master) for _, master in self.pairs}
        masters = [p for group in self.inner.param_groups for p in group["params"]]
        for place, master in enumerate(masters):
            if id(master) in copies:
                state = states["state"].get(place, {})
                states["state"][place] = {**state, _MASTER: master.detach()}
        return states

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state, which must come from the same groups."""
        states: dict[int, Any] = {}
        masters = [p for group in self.inner.param_groups for p in group["params"]]
        for place, state in state_dict["state"].items():
            if _MASTER in state:
                masters[place].copy_(state[_MASTER])
            own_state = {key: value for key, value in state.items() if key != _MASTER}
            if own_state:
                states[place] = own_state
        self.inner.load_state_dict({**state_dict, "state": states})
        self.state = self.inner.state
        _copy_settings(self.inner.param_groups, self.param_groups)


_MASTER = "master"


def _copy_settings(source: list[dict[str, Any]], target: list[dict[str, Any]]) -> None:
    """Give groups the settings of others, such as the rate that a schedule has come to."""
    for one, other in zip(source, target, strict=True):
        other.update({key: value for key, value in one.items() if key != "params"})


def kept_tensors(optimizer: Optimizer) -> Iterator[tuple[Tensor, Tensor]]:
    """Every tensor that an optimizer keeps, after the weight that it is for."""
    pairs = optimizer.pairs if isinstance(optimizer, MasterWeights) else []
    yield from pairs
    weights = {id(master): weight for weight, master in pairs}
    for parameter, states in optimizer.state.items():
        for state in states.values():
            if isinstance(state, Tensor):
                yield weights.get(id(parameter), parameter), state


def build_optimizer(
    model: nn.Module, settings: OptimizerConfig, trusted_packages: Iterable[str] = ()
) -> Optimizer:
    """Build the optimizer of what trains in a model; vectors get no weight decay.

    Args:
        model: whose parameters that train are taken.
        settings: of the run.
        trusted_packages: packages that an optimizer may come from beside torch's own.

    Raises:
        ConfigError: for a name in `muon` that matches no linear layer that trains.
    """
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    trained = {name: _master(weight) for name, weight in weights.items()}
    optimizer = _optimizer_of(model, trained, settings, trusted_packages)
    if all(trained[name] is weight for name, weight in weights.items()):
        return optimizer
    return MasterWeights([(weights[name], trained[name]) for name in weights], optimizer)


def _master(weight: nn.Parameter) -> nn.Parameter:
    """The parameter that is stepped for a weight: itself, or a float32 copy of a half one."""
    if weight.dtype.itemsize >= 4:
        return weight
    return nn.Parameter(weight.detach().float())


def _optimizer_of(
    model: nn.Module,
    trained: dict[str, nn.Parameter],
    settings: OptimizerConfig,
    trusted_packages: Iterable[str],
) -> Optimizer:
    matrices = _matrices(model, trained, settings.muon.params)
    matrix_ids = {id(matrix) for matrix in matrices}
    names = [name for name, parameter in trained.items() if id(parameter) not in matrix_ids]
    groups = [
        group
        for name, members in _grouped(names, settings.groups).items()
        for group in _groups(name, [trained[member] for member in members], settings)
    ]
    if settings.algorithm is not None:
        arguments: dict[str, Any] = {"params": groups, "lr": settings.lr}
        target = resolve_target(settings.algorithm["_target_"], ["torch.optim", *trusted_packages])
        try:
            optimizer: Optimizer = target(**arguments, **settings.arguments)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            name = settings.algorithm["_target_"]
            raise ConfigError(f"optimizer.algorithm={name} can't be built: {error}") from error
        _refuse_weight_decay(optimizer, settings)
        if settings.algorithm["_target_"].startswith(TORCH):
            _try_step(optimizer, settings)
        return optimizer
    first, second = settings.betas
    fused = settings.fused
    if fused is None:
        fused = all(trained[name].device.type in FUSED_DEVICES for name in names)
    # None leaves the choice of loops to torch.
    adamw = AdamW(groups, settings.lr, (first, second), fused=fused or None)
    if not matrices:
        return adamw
    muon = BatchedMuon(
        [{"params": matrices, "name": "muon"}],
        lr=settings.muon.lr,
        weight_decay=settings.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return MuonAdamW(muon, adamw)


def _try_step(optimizer: Optimizer, settings: OptimizerConfig) -> None:
    """Refuse arguments with which the first step fails, such as `capturable` on a processor."""
    first = next(p for group in optimizer.param_groups for p in group["params"])
    if first.device.type == "meta":
        return
    weight = nn.Parameter(torch.zeros(2, 2, dtype=first.dtype, device=first.device))
    weight.grad = torch.zeros_like(weight)
    try:
        type(optimizer)([weight], lr=settings.lr, **settings.arguments).step()  # type: ignore[call-arg]
    except (AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"optimizer.algorithm={settings.algorithm['_target_']} can't step with "
            f"{settings.arguments} on {first.device.type}: {error}"
        ) from error


def _refuse_weight_decay(optimizer: Optimizer, settings: OptimizerConfig) -> None:
    """Refuse a weight decay of one's own that the optimizer doesn't know."""
    decays = {"weight_decay": settings.weight_decay} | {
        f"groups.{name}.weight_decay": group.weight_decay for name, group in settings.groups.items()
    }
    for name, value in decays.items():
        is_own = value not in (None, 0.0, OptimizerConfig.weight_decay)
        if is_own and "weight_decay" not in optimizer.defaults:
            raise ConfigError(
                f"optimizer.{name}={value:g} is unknown to {type(optimizer).__name__}; leave it out"
            )


def _grouped(names: Iterable[str], groups: Iterable[str]) -> dict[str, list[str]]:
    """Names by the first glob that matches them; what none does comes first, under ""."""
    names, groups, result = list(names), list(groups), {"": list[str]()}
    for glob in groups:
        place = f"optimizer.groups[{glob!r}]"
        match_names(names, [glob], place, f"parameter that trains here; such are {names[:5]}")
        result[glob] = []
    for name in names:
        result[next((g for g in result if g and fnmatchcase(name, g)), "")].append(name)
    for number, glob in enumerate(groups):
        if not result[glob]:
            before = next(g for g in groups[:number] if result[g] and _overlap(names, g, glob))
            raise ConfigError(
                f"optimizer.groups[{glob!r}] has no parameter left, since the first glob that "
                f"matches counts, which is {before!r}; write {glob!r} before it"
            )
    return result


def _overlap(names: Iterable[str], glob: str, other: str) -> bool:
    return any(fnmatchcase(name, glob) and fnmatchcase(name, other) for name in names)


def _groups(
    name: str, parameters: Iterable[nn.Parameter], settings: OptimizerConfig
) -> Iterator[dict[str, Any]]:
    """Groups of matrices and of vectors, which get no weight decay; none that is empty."""
    own = settings.of_group(name)
    more = {"lr": own.lr, "name": name} if name else {}
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    for some, weight_decay in ((matrices, own.weight_decay), (vectors, 0.0)):
        if some:
            yield {"params": some, "weight_decay": weight_decay, **more}


def schedule_of(optimizer: Optimizer, settings: OptimizerConfig, steps: int) -> RunSchedule:
    """The schedule of each group's rate over a run of some steps."""
    names = [group.get("name", "") for group in optimizer.param_groups]
    rates: list[Callable[[int], float]] = [
        partial(settings.of_group(name).rate, steps=steps) for name in names
    ]
    return RunSchedule(optimizer, rates)


def _matrices(
    model: nn.Module, trained: dict[str, nn.Parameter], patterns: Iterable[str]
) -> list[Tensor]:
    """The weights of linear layers that train and whose names match a pattern."""
    linear = set()
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            linear.add(f"{name}.weight")
        elif isinstance(module, nn.MultiheadAttention):
            linear.add(f"{name}.in_proj_weight")
    names = [name for name in trained if name in linear]
    what = f"linear layer that trains; such are {names[:5]}"
    matches = match_names(names, patterns, "optimizer.muon.params", what)
    return [trained[name] for name in names if name in matches]
