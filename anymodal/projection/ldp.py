"""MobileVLM's light projections: LDP (Chu et al. 2023, arXiv:2312.16886, section 3.4) and LDPv2
(Chu et al. 2024, arXiv:2402.03766, section 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.projection.grid import masked_grid_pool
from anymodal.projection.linear import masked_adaptive_pool, scaled_linear
from anymodal.projection.placed import ChannelNorm, PlacedProjection, placed_tokens
from anymodal.types import Features, TokenLayout


class LDPProjection(PlacedProjection):
    """An MLP of each token, then two depthwise convolutions, the second of stride 2.

    The convolutions stand in MobileNetV3's inverted residuals (Howard et al. 2019,
    arXiv:1905.02244, section 3), with LayerNorm in place of batch normalisation. K is a quarter of
    the places, odd rows and columns rounded up.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        places: rows and columns of the encoders' tokens.
        output_scale: see `Projection`; the last LayerNorm's first weight.

    Raises:
        ValueError: if there are no places.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        places: Sequence[int] = (24, 24),
        output_scale: float = 1.0,
    ) -> None:
        num_tokens = math.prod(-(-count // 2) for count in places)
        super().__init__(
            widths=widths,
            output_width=output_width,
            places=places,
            num_tokens=num_tokens,
            line=2 * num_tokens,
            output_scale=output_scale,
        )

    def _map(self, width: int) -> nn.Module:
        return _LDP(width, self.output_width, self.output_scale)


class _LDP(nn.Module):
    """Tokens (B, R, C, D_m) to soft tokens (B, ⌈R / 2⌉ · ⌈C / 2⌉, D)."""

    def __init__(self, width: int, output_width: int, scale: float) -> None:
        super().__init__()
        self.mlp = _mlp(width, output_width, 1.0)
        blocks = [_InvertedResidual(output_width, stride) for stride in (1, 2)]
        nn.init.constant_(blocks[-1].output_norm.weight, scale)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, tokens: Tensor) -> Tensor:
        maps = self.mlp(tokens).movedim(-1, 1)  # (B, D, R, C)
        for block in self.blocks:
            maps = block(maps)
        soft: Tensor = maps.flatten(2).mT
        return soft


class _InvertedResidual(nn.Module):
    """Depthwise convolution, squeeze and excitation, pointwise convolution of maps (B, D, R, C)."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.convolution = nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False)
        self.convolution_norm = ChannelNorm(width)
        narrow = _multiple_of_8(width / 4)
        self.squeeze, self.excite = nn.Conv2d(width, narrow, 1), nn.Conv2d(narrow, width, 1)
        self.pointwise = nn.Conv2d(width, width, 1, bias=False)
        self.output_norm = ChannelNorm(width)

    def forward(self, maps: Tensor) -> Tensor:
        mixed = F.hardswish(self.convolution_norm(self.convolution(maps)))
        mean = mixed.mean(dim=(2, 3), keepdim=True)  # (B, D, 1, 1)
        mixed = mixed * F.hardsigmoid(self.excite(F.relu(self.squeeze(mean))))
        output: Tensor = self.output_norm(self.pointwise(mixed))
        return maps + output if self.stride == 1 else output


def _multiple_of_8(width: float) -> int:
    """The nearest multiple of 8, at least 8 and at least 0.9 of the width."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width else nearest + 8


class LDPv2Projection(Projection):
    """An MLP of each token, averages of the cells of a grid, and a depthwise convolution of those.

    The convolution is added to what it reads and tells where a cell is (positional encoding
    generator, Chu et al. 2023, arXiv:2102.10882); it starts with zeros. Class tokens and registers
    aren't read. Tokens that only follow one another, as a sound's, are averaged in as many bins,
    which stand in one row.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        grid: cells of rows and columns; K is their product.
        output_scale: see `Projection`.

    Raises:
        ValueError: if the grid has no cells.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        grid: Sequence[int] = (12, 12),
        output_scale: float = 1.0,
    ) -> None:
        if len(grid) != 2 or min(grid) < 1:
            raise ValueError(
                f"grid={list(grid)} gives num_tokens={math.prod(grid)}; give cells of rows and "
                "columns, at least 1 of each"
            )
        super().__init__(
            output_width=output_width, num_tokens=math.prod(grid), output_scale=output_scale
        )
        self.grid = tuple(grid)
        self.mlps, self.convolutions = nn.ModuleDict(), nn.ModuleDict()
        for name, width in widths.items():
            self.add_modality(name, width)

    def _add(self, name: str, width: int) -> None:
        self.mlps[name] = _mlp(width, self.output_width, self.output_scale)
        convolution = nn.Conv2d(
            self.output_width, self.output_width, 3, 1, 1, groups=self.output_width
        )
        nn.init.zeros_(convolution.weight)
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        self.convolutions[name] = convolution

    def set_layout(self, name: str, layout: TokenLayout) -> None:
        if len(layout.grid) not in (0, 2):
            raise ValueError(
                f"the encoder of {name!r} has places {list(layout.grid)}, and LDPv2 pools rows and "
                "columns alone; take a projection that reads any number, such as "
                "PerceiverProjection"
            )
        super().set_layout(name, layout)

    def _project(self, modality: str, features: Features) -> Tensor:
        layout = self.layouts.get(modality, TokenLayout())
        placed = placed_tokens(modality, features, layout)
        placed = placed._replace(values=self.mlps[modality](placed.values))
        if layout.grid:
            rows = masked_grid_pool(placed, layout.grid, self.grid).unflatten(1, self.grid)
        else:
            rows = masked_adaptive_pool(placed, self.num_tokens).unsqueeze(1)
        maps = rows.movedim(-1, 1)  # (B, D, R, C)
        soft: Tensor = (maps + self.convolutions[modality](maps)).flatten(2).mT
        return soft


def _mlp(width: int, output_width: int, scale: float) -> nn.Sequential:
    # A unit normal's GELU has a mean square of 0.425, which the second scale makes up for.
    return nn.Sequential(
        scaled_linear(width, output_width, 1.0),
        nn.GELU(),
        scaled_linear(output_width, output_width, scale / math.sqrt(0.425)),
    )
