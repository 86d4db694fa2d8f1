"""Qwen-VL's resampler: one cross-attention whose queries and keys know their places."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.projection.positions import key_positions, resize_positions, sincos_grid
from anymodal.types import Features, TokenLayout


class ResamplerProjection(Projection):
    """A grid of learned queries reads the features in one cross-attention, at the width D_llm.

    Queries have fixed positions on their grid, and tokens of rows and columns the same ones,
    resized; values have none. Tokens that only follow one another, as a sound's, are counted.

    Source: Bai et al. 2023 (Qwen-VL), arXiv:2308.12966, section 2.1.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        grid: rows and columns of queries; K is their product.
        heads: attention heads, None for heads of 128 as Qwen-VL's, or one where D_llm is no
            multiple of that.
        output_scale: see `Projection`.

    Raises:
        ValueError: if there are no queries, or `heads` or 4 doesn't divide D_llm.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        grid: Sequence[int] = (16, 16),
        heads: int | None = None,
        output_scale: float = 1.0,
    ) -> None:
        if len(grid) != 2 or min(grid) < 1:
            raise ValueError(
                f"grid={list(grid)} gives num_tokens={math.prod(grid)}; give rows and columns of "
                "queries, at least 1 of each"
            )
        super().__init__(
            output_width=output_width, num_tokens=math.prod(grid), output_scale=output_scale
        )
        heads = heads or (output_width // 128 if output_width % 128 == 0 else 1)
        if output_width % heads or output_width % 4:
            raise ValueError(
                f"output_width={output_width} must be a multiple of heads={heads} and 4"
            )
        self.rows, self.columns = grid
        self.heads = heads
        self.register_buffer(
            "positions", sincos_grid(self.rows, self.columns, output_width), persistent=False
        )
        self.maps = nn.ModuleDict()
        for name, width in widths.items():
            self.add_modality(name, width)

    def _add(self, name: str, width: int) -> None:
        self.maps[name] = _Resampler(
            width, self.output_width, self.num_tokens, self.heads, self.output_scale
        )

    def _project(self, modality: str, features: Features) -> Tensor:
        table = self.get_buffer("positions")
        layout = self.layouts.get(modality, TokenLayout())

        def of_grid(rows: int, columns: int) -> Tensor:
            return resize_positions(table, (self.rows, self.columns), (rows, columns))

        keys = key_positions(layout, features.mask, self.output_width, of_grid)
        soft: Tensor = self.maps[modality](features, table, keys)
        return soft


class _Resampler(nn.Module):
    def __init__(self, width: int, output_width: int, count: int, heads: int, scale: float) -> None:
        super().__init__()
        self.query = nn.Parameter(0.02 * torch.randn(count, output_width))
        same = width == output_width
        self.kv_proj = nn.Identity() if same else nn.Linear(width, output_width, bias=False)
        self.attn = nn.MultiheadAttention(output_width, heads, batch_first=True)
        self.ln_q = nn.LayerNorm(output_width, eps=1e-6)
        self.ln_kv = nn.LayerNorm(output_width, eps=1e-6)
        self.ln_post = nn.LayerNorm(output_width, eps=1e-6)
        noise = torch.randn(output_width, output_width)
        self.proj = nn.Parameter(noise * scale / math.sqrt(output_width))

    def forward(self, features: Features, table: Tensor, key_places: Tensor) -> Tensor:
        values = self.ln_kv(self.kv_proj(features.values))  # (B, N, D)
        query = self.ln_q(self.query) + table.to(values)  # (K, D)
        # An item without real tokens sees zeros, since nothing to see has no mean.
        padding = ~features.mask & features.mask.any(1, keepdim=True)
        states, _ = self.attn(
            query.expand(len(values), -1, -1),
            values + key_places.to(values),
            values,
            key_padding_mask=padding,
            need_weights=False,
        )
        soft: Tensor = self.ln_post(states) @ self.proj
        return soft
