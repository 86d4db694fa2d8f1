"""mPLUG-Owl's visual abstractor (Ye et al. 2023, arXiv:2304.14178, section 3.1; of mPLUG-Owl2,
arXiv:2311.04257, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.projection.linear import scaled_linear
from anymodal.projection.positions import key_positions, sincos_grid, sincos_line
from anymodal.types import Features, TokenLayout


class AbstractorProjection(Projection):
    """Learned queries read themselves and the features, layer after layer; one learned token ends.

    As published, what a layer adds to is the normed query, and the features are normed anew in each
    layer and never change. Each modality has layers of its own; where its encoder isn't `width`
    wide, they begin with a Linear.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        num_queries: K is one more.
        width: of the layers.
        depth: number of layers.
        heads: attention heads per layer.
        hidden_width: of the gated MLPs.
        norm_eps: of the norm within the MLPs.
        positions: fixed positions of queries and tokens, which mPLUG-Owl2 has and mPLUG-Owl not.
        output_scale: see `Projection`.

    Raises:
        ValueError: if there are no queries or layers, or `heads` doesn't divide the width.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        num_queries: int = 64,
        width: int = 1024,
        depth: int = 6,
        heads: int = 16,
        hidden_width: int = 2816,
        norm_eps: float = 1e-6,
        positions: bool = True,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__(
            output_width=output_width, num_tokens=num_queries + 1, output_scale=output_scale
        )
        for name, value in (("num_queries", num_queries), ("depth", depth)):
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        if width % heads:
            raise ValueError(f"width={width} must be a multiple of heads={heads}")
        self.width, self.depth, self.heads, self.hidden_width = width, depth, heads, hidden_width
        self.norm_eps, self.positions = norm_eps, positions
        self.maps = nn.ModuleDict()
        for name, encoder_width in widths.items():
            self.add_modality(name, encoder_width)

    def _add(self, name: str, width: int) -> None:
        layers = [
            _AbstractorLayer(self.width, self.heads, self.hidden_width, self.norm_eps)
            for _ in range(self.depth)
        ]
        self.maps[name] = _Abstractor(
            width, self.num_tokens - 1, layers, self.output_width, self.output_scale
        )

    def _project(self, modality: str, features: Features) -> Tensor:
        query_places = key_places = None
        if self.positions:
            device = features.mask.device
            layout = self.layouts.get(modality, TokenLayout())
            query_places = sincos_line(
                torch.arange(self.num_tokens - 1, device=device), self.width
            ).unsqueeze(0)
            key_places = key_positions(
                layout,
                features.mask,
                self.width,
                lambda rows, columns: sincos_grid(rows, columns, self.width),
            )
        soft: Tensor = self.maps[modality](features, query_places, key_places)
        return soft


class _Abstractor(nn.Module):
    def __init__(
        self, width: int, queries: int, layers: list[_AbstractorLayer], output: int, scale: float
    ) -> None:
        super().__init__()
        inner = layers[0].norm1.normalized_shape[0]
        self.input = nn.Identity() if width == inner else nn.Linear(width, inner)
        self.query_embeds = nn.Parameter(0.02 * torch.randn(1, queries, inner))
        self.layers = nn.ModuleList(layers)
        self.visual_fc = scaled_linear(inner, output, scale)
        self.vit_eos = nn.Parameter(scale * torch.randn(1, 1, output))

    def forward(
        self, features: Features, query_places: Tensor | None, key_places: Tensor | None
    ) -> Tensor:
        values = self.input(features.values)  # (B, N, W)
        queries = self.query_embeds.expand(len(values), -1, -1)  # (B, Q, W)
        visible = F.pad(features.mask, (queries.shape[1], 0), value=True)[:, None, None]
        for layer in self.layers:
            queries = layer(queries, values, visible, query_places, key_places)
        soft = self.visual_fc(queries)
        return torch.cat([soft, self.vit_eos.expand(len(soft), -1, -1)], dim=1)


class _AbstractorLayer(nn.Module):
    """Attention of queries (B, Q, W) to queries and features (B, N, W), then a gated MLP."""

    def __init__(self, width: int, heads: int, hidden_width: int, norm_eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.normk, self.norm2 = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key, self.value, self.out_proj = (
            nn.Linear(width, width) for _ in range(4)
        )
        self.w1, self.w3 = nn.Linear(width, hidden_width), nn.Linear(width, hidden_width)
        self.w2 = nn.Linear(hidden_width, width)
        self.ffn_ln = nn.LayerNorm(hidden_width, eps=norm_eps)
        for linear in (each for each in self.modules() if isinstance(each, nn.Linear)):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        queries: Tensor,
        values: Tensor,
        visible: Tensor,
        query_places: Tensor | None,
        key_places: Tensor | None,
    ) -> Tensor:
        queries = self.norm1(queries)
        memory = torch.cat([queries, self.normk(values)], dim=1)  # (B, Q + N, W)
        placed, keys = queries, memory
        if query_places is not None and key_places is not None:
            query_places = query_places.to(queries).expand(len(key_places), -1, -1)
            placed = queries + query_places
            keys = memory + torch.cat([query_places, key_places.to(queries)], dim=1)
        query, key, value = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.query(placed), self.key(keys), self.value(memory))
        )  # (B, H, Q or Q + N, W / H) each
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        queries = queries + self.out_proj(mixed.transpose(1, 2).flatten(2))
        inner = self.norm2(queries)
        output: Tensor = queries + self.w2(self.ffn_ln(F.silu(self.w1(inner)) * self.w3(inner)))
        return output
