"""Muon's step with matrices of one shape together, in the type that a device is quick with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Muon
from torch.optim._muon import _adjust_lr

from anymodal.distributed.devices import computes_bfloat16


class BatchedMuon(Muon):
    """torch's Muon, whose matrices of one shape are made orthogonal in one batch.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. torch's own goes matrix
    by matrix and always in bfloat16, in which a processor without such instructions takes some
    thirty times as long; there this one computes in float32. Settings and state are torch's.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every matrix; the loss of the closure comes back."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            matrices: list[Tensor] = []
            gradients: list[Tensor] = []
            momenta: list[Tensor] = []
            self._init_group(group, matrices, gradients, momenta)
            updates: dict[tuple[torch.Size, torch.device], list[tuple[Tensor, Tensor]]]
            updates = defaultdict(list)
            for matrix, gradient, momentum in zip(matrices, gradients, momenta, strict=True):
                momentum.lerp_(gradient, 1 - group["momentum"])
                update = gradient.lerp(momentum, group["momentum"])
                updates[matrix.shape, matrix.device].append(
                    (matrix, update if group["nesterov"] else momentum)
                )
            for (shape, _), pairs in updates.items():
                rate = _adjust_lr(group["lr"], group["adjust_lr_fn"], shape)
                stacked = torch.stack([update for _, update in pairs])
                orthogonal = orthogonalize(
                    stacked, group["ns_coefficients"], group["ns_steps"], group["eps"]
                )
                for (matrix, _), change in zip(pairs, orthogonal, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(change, alpha=-rate)
        return loss


def orthogonalize(
    matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Matrices with the same singular vectors and singular values of about one.

    Source: a Newton-Schulz iteration of degree five, as Jordan et al. 2024 choose its coefficients.

    Args:
        matrices: shape (batch, rows, columns).
        coefficients: of the first, third and fifth power.
        steps: how often to iterate.
        eps: the least norm to divide by.

    Returns:
        Shape (batch, rows, columns), in bfloat16 where the device computes in it, else float32.
    """
    a, b, c = coefficients
    x = matrices.to(torch.bfloat16 if computes_bfloat16(matrices.device) else torch.float32)
    is_tall = x.shape[1] > x.shape[2]
    if is_tall:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        powers = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, powers, x, beta=a)
    return x.mT if is_tall else x
