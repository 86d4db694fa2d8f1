"""AdamW, and Muon for the matrices of hidden layers, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from anymodal.training import stage


class MuonAdamW(Optimizer):
    """Muon for some matrices and AdamW for the rest, over one list of groups and one state.

    Source: Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/), with the update's size
    matched to AdamW's (Liu et al. 2025, https://arxiv.org/abs/2502.16982, section 2.2).

    Args:
        muon: for the matrices.
        adamw: for everything else.
    """

    def __init__(self, muon: Muon, adamw: AdamW) -> None:
        self.parts: tuple[Optimizer, Optimizer] = (muon, adamw)
        super().__init__([*muon.param_groups, *adamw.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Let both parts work on this optimizer's own groups and state."""
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


def build_optimizer(model: nn.Module, settings: stage.Optimizer) -> Optimizer:
    """Build the optimizer of what trains in a model; vectors get no weight decay.

    Raises:
        ConfigError: for a name in `muon` that matches no linear layer that trains.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = _matrices(model, trained, settings.muon.names)
    chosen = {id(matrix) for matrix in matrices}
    rest = [parameter for parameter in trained.values() if id(parameter) not in chosen]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    first, second = settings.betas
    adamw = AdamW(
        [group for group in groups if group["params"]],
        settings.lr,
        (first, second),
        fused=settings.fused or None,  # None leaves the choice of loops to torch
    )
    if not matrices:
        return adamw
    muon = Muon(
        matrices,
        lr=settings.muon.lr,
        weight_decay=settings.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return MuonAdamW(muon, adamw)


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
    chosen = stage.match_names(names, patterns, "optimizer.muon.names", what)
    return [trained[name] for name in names if name in chosen]
