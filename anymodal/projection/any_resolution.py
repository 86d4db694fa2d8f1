"""LLaVA-NeXT's projection: a soft token for each of the encoder's, and for the end of a line."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.projection.linear import masked_adaptive_pool, scaled_mlp
from anymodal.types import Features, MediaPositions, SoftRun, TokenLayout


class AnyResProjection(Projection):
    """Linear, GELU, Linear of each token, and a learned soft token for each end of a line.

    Tokens of an encoder without lines are pooled to `num_tokens`, as of `MLPProjection`.

    Source: Liu et al. 2024 (LLaVA-NeXT, llava-vl.github.io/blog/2024-01-30-llava-next);
    `image_newline` of its implementation.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        num_tokens: K of modalities whose encoders' tokens have no lines.
        output_scale: see `Projection`.
    """

    reads_line_ends = True

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        num_tokens: int = 64,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__(
            output_width=output_width, num_tokens=num_tokens, output_scale=output_scale
        )
        self.maps, self.line_ends = nn.ModuleDict(), nn.ParameterDict()
        for name, width in widths.items():
            self.add_modality(name, width)

    def _add(self, name: str, width: int) -> None:
        self.maps[name] = scaled_mlp(width, self.output_width, self.output_scale)
        self.line_ends[name] = nn.Parameter(torch.randn(self.output_width) * self.output_scale)

    def _has_lines(self, modality: str) -> bool:
        return self.layouts.get(modality, TokenLayout()).line_ends

    def positions_of(self, modality: str, runs: tuple[str | int, ...]) -> MediaPositions:
        if not self._has_lines(modality):
            return super().positions_of(modality, runs)
        return tuple(part if isinstance(part, str) else SoftRun(part) for part in runs)

    def _project(self, modality: str, features: Features) -> Tensor:
        if not self._has_lines(modality):
            pooled: Tensor = self.maps[modality](masked_adaptive_pool(features, self.num_tokens))
            return pooled
        soft: Tensor = self.maps[modality](features.values)
        ends = (features.values == 0).all(dim=-1, keepdim=True)  # (B, N, 1)
        return torch.where(ends, self.line_ends[modality].to(soft.dtype), soft)
