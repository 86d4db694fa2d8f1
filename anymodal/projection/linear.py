"""The plain projections: pool the features to K positions, then map each by a small network."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.types import Features


def masked_adaptive_pool(features: Features, tokens: int) -> Tensor:
    """Average each item's n real tokens into K bins, in their order.

    Bin k spans real tokens floor(k n / K) to ceil((k + 1) n / K), as in
    `torch.nn.functional.adaptive_avg_pool1d`, with each item's own n: bins overlap where n < K,
    and an item without real tokens gives zeros.

    Shapes: values (B, N, D), mask (B, N) -> (B, K, D).
    """
    values, mask = features
    count = mask.sum(dim=1).view(-1, 1, 1)  # (B, 1, 1)
    rank = (mask.cumsum(dim=1) - 1).unsqueeze(1)  # (B, 1, N): place among the real tokens
    bins = torch.arange(tokens, device=mask.device).view(1, -1, 1)  # (1, K, 1)
    start = bins * count // tokens
    end = ((bins + 1) * count + tokens - 1) // tokens
    inside = (rank >= start) & (rank < end) & mask.unsqueeze(1)  # (B, K, N)
    weights = inside / inside.sum(dim=-1, keepdim=True).clamp(min=1)
    return weights.to(values.dtype) @ values


class LinearProjection(Projection):
    """One Linear per modality (LLaVA, Liu et al. 2023, arXiv:2304.08485) after pooling to K.

    Soft tokens start at a root mean square of `output_scale` for pooled features of unit scale.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        num_tokens: K.
        output_scale: see `Projection`.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        num_tokens: int,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__(
            output_width=output_width, num_tokens=num_tokens, output_scale=output_scale
        )
        self.maps = nn.ModuleDict()
        for name, width in widths.items():
            self.add_modality(name, width)

    def _add(self, name: str, width: int) -> None:
        self.maps[name] = scaled_linear(width, self.output_width, self.output_scale)

    def _project(self, modality: str, features: Features) -> Tensor:
        pooled: Tensor = self.maps[modality](masked_adaptive_pool(features, self.num_tokens))
        return pooled


class MLPProjection(LinearProjection):
    """Linear, GELU, Linear per modality (LLaVA-1.5, Liu et al. 2024, arXiv:2310.03744)."""

    def _add(self, name: str, width: int) -> None:
        self.maps[name] = scaled_mlp(width, self.output_width, self.output_scale)


class PooledProjection(LinearProjection):
    """All K soft tokens by one Linear of the features' mean (FROMAGe, Koh et al. 2023; GILL)."""

    def _add(self, name: str, width: int) -> None:
        self.maps[name] = scaled_linear(
            width, self.num_tokens * self.output_width, self.output_scale
        )

    def _project(self, modality: str, features: Features) -> Tensor:
        mean = masked_adaptive_pool(features, 1)  # (B, 1, D_m)
        flat: Tensor = self.maps[modality](mean)  # (B, 1, K * D_llm)
        return flat.reshape(len(mean), self.num_tokens, self.output_width)


def scaled_linear(inputs: int, outputs: int, scale: float) -> nn.Linear:
    """A Linear whose output has root mean square `scale` where the input's is 1."""
    linear = nn.Linear(inputs, outputs)
    nn.init.normal_(linear.weight, std=scale / math.sqrt(inputs))
    nn.init.zeros_(linear.bias)
    return linear


def scaled_mlp(
    inputs: int, outputs: int, scale: float, hidden_width: int | None = None
) -> nn.Sequential:
    """Linear, GELU, Linear, whose output has root mean square `scale` where the input's is 1.

    Args:
        inputs: width.
        outputs: width.
        scale: of the output.
        hidden_width: between them; None for that of the output.
    """
    hidden_width = hidden_width or outputs
    return nn.Sequential(
        scaled_linear(inputs, hidden_width, 1.0),
        nn.GELU(),
        # A unit normal's GELU has a mean square of 0.425, which the second scale makes up for.
        scaled_linear(hidden_width, outputs, scale / math.sqrt(0.425)),
    )
