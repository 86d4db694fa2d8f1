"""Cross-entropy of the next token, at supervised positions only."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
"""A label where nothing is supervised."""


def next_token_losses(logits: Callable[[Tensor], Tensor], hidden: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy (N,) at the supervised positions, row by row.

    Args:
        logits: states (N, D) to scores (N, V).
        hidden: last hidden states (B, T, D).
        labels: ids at the same positions (B, T), `IGNORED` where unsupervised.
    """
    targets = labels[:, 1:]  # (B, T-1)
    rows, columns = (targets != IGNORED).nonzero(as_tuple=True)
    rows, columns, targets = (
        each.to(hidden.device, non_blocking=True)
        for each in (rows, columns, targets[rows, columns])
    )
    states = hidden[:, :-1][rows, columns]  # (supervised, D)
    # In float32: a log-sum-exp over a whole vocabulary loses too much in half precision.
    return F.cross_entropy(logits(states).float(), targets, reduction="none")
