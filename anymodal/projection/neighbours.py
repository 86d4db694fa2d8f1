"""Projections that put a token's neighbours into one: pixel shuffle and the H-Reducer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from anymodal.projection.linear import scaled_linear
from anymodal.projection.placed import PlacedProjection


class PixelShuffleProjection(PlacedProjection):
    """The r × r tokens of a square side by side in one, then LayerNorm, Linear, GELU, Linear.

    Source: Chen et al. 2024 (InternVL 1.5), arXiv:2404.16821, section 3.1; the order of the r²
    tokens is row by row.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        places: rows and columns of the encoders' tokens.
        ratio: r; K is the places' number divided by r².
        output_scale: see `Projection`.

    Raises:
        ValueError: if `ratio` doesn't divide the places.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        places: Sequence[int] = (32, 32),
        ratio: int = 2,
        output_scale: float = 1.0,
    ) -> None:
        if ratio < 1 or any(count % ratio for count in places):
            raise ValueError(f"ratio={ratio} must divide places={list(places)}")
        self.ratio = ratio
        super().__init__(
            widths=widths,
            output_width=output_width,
            places=places,
            num_tokens=math.prod(places) // ratio**2,
            line=math.prod(places),
            output_scale=output_scale,
        )

    def _map(self, width: int) -> nn.Module:
        return _PixelShuffle(width, self.ratio, self.output_width, self.output_scale)


class _PixelShuffle(nn.Module):
    """Tokens (B, R, C, D_m) to soft tokens (B, R · C / r², D)."""

    def __init__(self, width: int, ratio: int, output_width: int, scale: float) -> None:
        super().__init__()
        self.ratio, joined = ratio, width * ratio**2
        self.norm = nn.LayerNorm(joined)
        self.mlp = nn.Sequential(
            scaled_linear(joined, output_width, 1.0),
            nn.GELU(),
            scaled_linear(output_width, output_width, scale / math.sqrt(0.425)),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        ratio, (batch, rows, columns, width) = self.ratio, tokens.shape
        if rows == 1:  # a sequence
            joined = tokens.reshape(batch, -1, width * ratio**2)
        else:
            squares = tokens.view(batch, rows // ratio, ratio, columns // ratio, ratio, width)
            joined = squares.transpose(2, 3).reshape(batch, -1, width * ratio**2)
        soft: Tensor = self.mlp(self.norm(joined))
        return soft


class HReducerProjection(PlacedProjection):
    """Convolutions along rows, which put four neighbours into one (DocOwl 1.5's H-Reducer).

    Text runs along rows, so what stands beside each other there belongs together. One learned token
    follows the others.

    Source: Hu et al. 2024, arXiv:2403.12895, section 3.1; its implementation convolves twice, with
    the first one's four outputs back in their row between.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        places: rows and columns of the encoders' tokens.
        window: neighbours of a row that become one; K is the places' number divided by it, and 1.
        output_scale: see `Projection`.

    Raises:
        ValueError: if `window` doesn't divide the columns.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        places: Sequence[int] = (32, 32),
        window: int = 4,
        output_scale: float = 1.0,
    ) -> None:
        if window < 1 or not places or places[-1] % window:
            raise ValueError(f"window={window} must divide the columns of places={list(places)}")
        self.window = window
        super().__init__(
            widths=widths,
            output_width=output_width,
            places=places,
            num_tokens=math.prod(places) // window + 1,
            line=math.prod(places),
            output_scale=output_scale,
        )

    def _map(self, width: int) -> nn.Module:
        return _HReducer(width, self.window, self.output_width, self.output_scale)


class _HReducer(nn.Module):
    """Tokens (B, R, C, D_m) to soft tokens (B, R · C / window + 1, D)."""

    def __init__(self, width: int, window: int, output_width: int, scale: float) -> None:
        super().__init__()
        shape = (1, window)
        self.window = window
        self.reducer_before = nn.Sequential(
            _unit_convolution(width, window * width, shape, 1.0), nn.GELU()
        )
        # A unit normal's GELU has a mean square of 0.425.
        self.reducer = _unit_convolution(width, width, shape, 0.425)
        self.visual_fc = scaled_linear(width, output_width, scale)
        self.vit_eos = nn.Parameter(scale * torch.randn(1, 1, output_width))

    def forward(self, tokens: Tensor) -> Tensor:
        maps = self.reducer_before(tokens.movedim(-1, 1))  # (B, window · D_m, R, C / window)
        parts = maps.unflatten(1, (self.window, -1))  # (B, window, D_m, R, C / window)
        # Part p of column c goes to column c · window + p.
        maps = parts.permute(0, 2, 3, 4, 1).flatten(3)  # (B, D_m, R, C)
        soft = self.visual_fc(self.reducer(maps).flatten(2).mT)
        return torch.cat([soft, self.vit_eos.expand(len(soft), -1, -1)], dim=1)


def _unit_convolution(
    inputs: int, outputs: int, shape: tuple[int, int], mean_square: float
) -> nn.Conv2d:
    """A convolution in steps of its size, whose output has mean square 1 where inputs have that."""
    convolution = nn.Conv2d(inputs, outputs, shape, stride=shape)
    nn.init.normal_(convolution.weight, std=1 / math.sqrt(mean_square * inputs * math.prod(shape)))
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution
