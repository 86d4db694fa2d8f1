"""A projection that keeps what an encoder says of the whole apart from what it says of places."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.projection.linear import masked_adaptive_pool, scaled_linear, scaled_mlp
from anymodal.types import Features, TokenLayout


def masked_grid_pool(features: Features, places: Sequence[int], cells: Sequence[int]) -> Tensor:
    """Average the real tokens of each cell of a grid.

    A cell spans places floor(k n / c) to ceil((k + 1) n / c) of each axis, as in
    `torch.nn.functional.adaptive_avg_pool2d`; one without real tokens gives zeros.

    Shapes: values (B, N, D) and mask (B, N), N the product of `places`, to (B, C, D), C that of
    `cells`.

    Args:
        features: tokens of the grid's places, the last axis fastest.
        places: along each axis.
        cells: along each axis.
    """
    inside = torch.ones(1, 1, dtype=torch.bool, device=features.mask.device)
    for count, bins in zip(places, cells, strict=True):
        place = torch.arange(count, device=inside.device)
        bin_ = torch.arange(bins, device=inside.device).unsqueeze(1)
        axis = (place >= bin_ * count // bins) & (place < -(-(bin_ + 1) * count // bins))
        inside = torch.kron(inside, axis)  # (C, N) of the axes so far
    weights = inside & features.mask.unsqueeze(1)  # (B, C, N)
    shares = weights / weights.sum(dim=-1, keepdim=True).clamp(min=1)
    return shares.to(features.values.dtype) @ features.values


class GridProjection(Projection):
    """A soft token for the whole medium, and one for each cell of a grid over its places.

    Pooling patches by place keeps where something is (Cha et al. 2023, Honeybee, arXiv:2312.06742,
    section 3.3). The whole is the encoder's class token, or the mean of several; of an encoder
    without one the mean of all tokens. It has a map of its own. Tokens that only follow one
    another, as a sound's, are averaged in as many bins, in their order; registers aren't read. The
    encoders' layouts say which is which; composing a model tells them by `set_layout`.

    Each map is a LayerNorm without weights and a Linear, or Linear, GELU, Linear with a
    `hidden_width`.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        grid: cells along each axis, such as `[4, 4]`; K is 1 and their product.
        grids: cells of modalities whose encoders have other axes, as `{video: [4, 2, 2]}`; as many
            cells in all.
        hidden_width: of the maps' hidden layer; None for one Linear.
        dropout: share of the pooled features' values that training leaves out.
        output_scale: see `Projection`.

    Raises:
        ValueError: if a grid has no cells, or those of modalities differ in number.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        grid: Sequence[int] = (4, 4),
        grids: Mapping[str, Sequence[int]] | None = None,
        hidden_width: int | None = None,
        dropout: float = 0.0,
        output_scale: float = 1.0,
    ) -> None:
        for name, cells in {"grid": grid, **(grids or {})}.items():
            if not cells or min(cells) < 1 or math.prod(cells) != math.prod(grid):
                raise ValueError(
                    f"{name} has cells {list(cells)}; give at least 1 along each axis, and as many "
                    f"in all as grid={list(grid)}, since num_tokens is the same for all modalities"
                )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout} must be at least 0 and less than 1")
        super().__init__(
            output_width=output_width,
            num_tokens=1 + math.prod(grid),
            output_scale=output_scale,
        )
        self.grid = tuple(grid)
        self.grids = {name: tuple(cells) for name, cells in (grids or {}).items()}
        self.hidden_width, self.dropout = hidden_width, nn.Dropout(dropout)
        self.whole_maps = nn.ModuleDict()
        self.cell_maps = nn.ModuleDict()
        for name, width in widths.items():
            self.add_modality(name, width)

    def _add(self, name: str, width: int) -> None:
        self.whole_maps[name] = self._map(width)
        self.cell_maps[name] = self._map(width)

    def _map(self, width: int) -> nn.Module:
        if self.hidden_width is None:
            return scaled_linear(width, self.output_width, self.output_scale)
        return scaled_mlp(width, self.output_width, self.output_scale, self.hidden_width)

    def set_layout(self, name: str, layout: TokenLayout) -> None:
        cells = self._cells(name)
        if layout.grid and len(layout.grid) != len(cells):
            raise ValueError(
                f"the encoder of {name!r} has places {list(layout.grid)}, and the projection "
                f"cells {list(cells)}; give it grids: {{{name}: […]}} with {len(layout.grid)} "
                f"numbers whose product is {math.prod(self.grid)}"
            )
        super().set_layout(name, layout)

    def _cells(self, name: str) -> tuple[int, ...]:
        return self.grids.get(name, self.grid)

    def _project(self, modality: str, features: Features) -> Tensor:
        layout = self.layouts.get(modality, TokenLayout())
        classes = Features(*(part[:, : layout.class_tokens] for part in features))
        placed = Features(*(part[:, layout.before :] for part in features))
        whole = masked_adaptive_pool(classes if layout.class_tokens else placed, 1)  # (B, 1, D_m)
        if layout.grid:
            if placed.mask.shape[1] != math.prod(layout.grid):
                raise ValueError(
                    f"features of {modality!r} have {placed.mask.shape[1]} tokens of places, and "
                    f"their layout says {' × '.join(map(str, layout.grid))}"
                )
            cells = masked_grid_pool(placed, layout.grid, self._cells(modality))
        else:
            cells = masked_adaptive_pool(placed, self.num_tokens - 1)
        soft: Tensor = torch.cat(
            [
                self.whole_maps[modality](self._normalised(whole)),
                self.cell_maps[modality](self._normalised(cells)),
            ],
            dim=1,
        )
        return soft

    def _normalised(self, pooled: Tensor) -> Tensor:
        normalised: Tensor = self.dropout(F.layer_norm(pooled, pooled.shape[-1:]))
        return normalised
