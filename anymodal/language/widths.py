"""Width of embeddings that have features of deeper layers behind them, or none."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def widen(values: Tensor, width: int) -> Tensor:
    """Values with zeros for the deeper layers that they add nothing to."""
    missing = width - values.shape[-1]
    return F.pad(values, (0, missing)) if missing else values
