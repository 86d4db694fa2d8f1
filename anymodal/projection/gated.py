"""CogVLM's projection: a gated MLP of each token, between two learned ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.projection.linear import masked_adaptive_pool, scaled_linear
from anymodal.types import Features, MediaPositions, SoftRun


class GatedMLPProjection(Projection):
    """Linear, LayerNorm, GELU and a gated MLP (SwiGLU) of each token, between two learned tokens.

    Source: Wang et al. 2023 (CogVLM), arXiv:2311.03079, section 2.1, and its implementation.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        num_tokens: K, the two learned ones, which start as zeros, among them.
        hidden_width: of the gated MLP.
        shared_position: whether the tokens between the ends have one position together, as
            CogVLM's. Conversations then have a row each.
        output_scale: see `Projection`.

    Raises:
        ValueError: if there is no token beside the two.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        num_tokens: int,
        hidden_width: int = 11008,
        shared_position: bool = False,
        output_scale: float = 1.0,
    ) -> None:
        if num_tokens < 3:
            raise ValueError(f"num_tokens={num_tokens} must be at least 3: two stand at the ends")
        super().__init__(
            output_width=output_width, num_tokens=num_tokens, output_scale=output_scale
        )
        self.hidden_width, self.shared_position = hidden_width, shared_position
        self.maps, self.begin, self.end = nn.ModuleDict(), nn.ParameterDict(), nn.ParameterDict()
        for name, width in widths.items():
            self.add_modality(name, width)

    def positions_of(self, modality: str, runs: tuple[str | int, ...]) -> MediaPositions:
        if not self.shared_position:
            return super().positions_of(modality, runs)
        offsets = (0, *[1] * (self.num_tokens - 2), 2)
        return (SoftRun(self.num_tokens, (offsets,), advance=3),)

    def _add(self, name: str, width: int) -> None:
        self.maps[name] = _GatedMLP(width, self.output_width, self.hidden_width, self.output_scale)
        self.begin[name] = nn.Parameter(torch.zeros(1, 1, self.output_width))
        self.end[name] = nn.Parameter(torch.zeros(1, 1, self.output_width))

    def _project(self, modality: str, features: Features) -> Tensor:
        soft = self.maps[modality](masked_adaptive_pool(features, self.num_tokens - 2))
        ends = (each[modality].expand(len(soft), -1, -1) for each in (self.begin, self.end))
        begin, end = ends
        return torch.cat([begin, soft, end], dim=1)


class _GatedMLP(nn.Module):
    def __init__(self, width: int, output_width: int, hidden_width: int, scale: float) -> None:
        super().__init__()
        self.linear_proj = nn.Linear(width, output_width, bias=False)
        self.norm1 = nn.LayerNorm(output_width)
        self.dense_h_to_4h = _without_bias(output_width, hidden_width, 1 / math.sqrt(0.425))
        self.gate_proj = _without_bias(output_width, hidden_width, 1 / math.sqrt(0.425))
        # A unit normal's SiLU has a mean square of 0.356, which the last scale makes up for.
        self.dense_4h_to_h = _without_bias(hidden_width, output_width, scale / math.sqrt(0.356))

    def forward(self, tokens: Tensor) -> Tensor:
        inner = F.gelu(self.norm1(self.linear_proj(tokens)))
        gated = F.silu(self.gate_proj(inner)) * self.dense_h_to_4h(inner)
        output: Tensor = self.dense_4h_to_h(gated)
        return output


def _without_bias(inputs: int, outputs: int, scale: float) -> nn.Linear:
    linear = scaled_linear(inputs, outputs, scale)
    linear.register_parameter("bias", None)
    return linear
