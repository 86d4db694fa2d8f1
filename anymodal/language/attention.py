"""Fused attention in the precision that is fastest where it runs."""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

SHORT = 304
"""Keys of a row whose attention is faster in float32 than in bfloat16 on a processor."""


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Scaled dot-product attention, of short rows that train on a processor in float32.

    Shapes: (R, H, T, d), (R, H, K, d) twice, a bool mask that expands to (R, H, T, K) ->
    (R, H, T, d).
    """
    dtype, whole = value.dtype, _is_half_slow(query, key)
    if whole:
        query, key, value = query.float(), key.float(), value.float()
    with torch.autocast(query.device.type, enabled=False) if whole else nullcontext():
        return F.scaled_dot_product_attention(
            query, key, value, mask, dropout, is_causal, scale=scale
        ).to(dtype)


def _is_half_slow(query: Tensor, key: Tensor) -> bool:
    """Return whether float32 is faster than the half precision that is asked for.

    On a processor the way back of the fused kernel in bfloat16 takes up to four times as long as in
    float32, less for longer rows: both take 39 ms for 16 rows of 307 positions (4 heads of 64).
    """
    kind = query.device.type
    autocast = torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind) if autocast else query.dtype
    half = dtype in (torch.bfloat16, torch.float16)
    return half and kind == "cpu" and key.shape[2] <= SHORT and torch.is_grad_enabled()
