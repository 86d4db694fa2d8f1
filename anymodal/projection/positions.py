"""Fixed sines and cosines of tokens' positions (Vaswani et al. 2017, arXiv:1706.03762)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from anymodal.types import TokenLayout


def sincos_line(places: Tensor, width: int) -> Tensor:
    """Positions along one axis: sines of all frequencies, then cosines, (…) -> (…, width).

    Raises:
        ValueError: if the width is odd.
    """
    if width % 2:
        raise ValueError(f"width={width} of positions must be even: half sines, half cosines")
    powers = torch.arange(width // 2, device=places.device, dtype=torch.float64) / (width // 2)
    angles = places.double().unsqueeze(-1) / 10000**powers  # (…, width / 2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).float()


def sincos_grid(rows: int, columns: int, width: int) -> Tensor:
    """Positions on a grid, (rows · columns, width): the first half tells the column, as in MAE
    (He et al. 2022, arXiv:2111.06377, `get_2d_sincos_pos_embed`).

    Raises:
        ValueError: if the width is no multiple of 4.
    """
    if width % 4:
        raise ValueError(f"width={width} of positions on a grid must be a multiple of 4")
    row, column = torch.arange(rows), torch.arange(columns)
    across = sincos_line(column, width // 2).expand(rows, -1, -1)  # (rows, columns, width / 2)
    down = sincos_line(row, width // 2).unsqueeze(1).expand(-1, columns, -1)
    return torch.cat([across, down], dim=-1).flatten(0, 1)


def resize_positions(table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Positions (R · C, W) of a grid, resized to another grid's by bicubic interpolation."""
    if old == new:
        return table
    planes = table.float().view(1, *old, -1).permute(0, 3, 1, 2)  # (1, W, R, C)
    resized = F.interpolate(planes, size=new, mode="bicubic", align_corners=False)
    return resized.flatten(2)[0].T


def key_positions(
    layout: TokenLayout, mask: Tensor, width: int, of_grid: Callable[[int, int], Tensor]
) -> Tensor:
    """Positions of an encoder's tokens, (1 or B, N, width); those before the places have zeros.

    Tokens on a grid of rows and columns have the positions that `of_grid` gives. Others are counted
    in their order, over the real ones.

    Args:
        layout: of the tokens.
        mask: which are real (B, N).
        width: of the positions.
        of_grid: rows and columns to positions (rows · columns, width).

    Raises:
        ValueError: for another number of tokens than the layout has places.
    """
    if len(layout.grid) == 2:
        if (count := mask.shape[1] - layout.before) != math.prod(layout.grid):
            raise ValueError(
                f"there are {count} tokens of places, and their layout says "
                f"{' × '.join(map(str, layout.grid))}"
            )
        placed = of_grid(*layout.grid).to(mask.device).unsqueeze(0)  # (1, N - before, width)
    else:
        placed = sincos_line((mask[:, layout.before :].cumsum(1) - 1).clamp(min=0), width)
    return F.pad(placed, (0, 0, layout.before, 0))
