"""Grids of patches of any resolution: the size that a picture gets, and its tokens' positions."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from anymodal.types import SoftRun

MAX_ASPECT = 200
"""The longest side of a picture in shorter ones."""


class Grid(NamedTuple):
    """Patches of a picture or clip along time, height and width."""

    frames: int
    rows: int
    columns: int


def fit_size(
    size: tuple[int, int], factor: int, least: int, most: int, frames: int = 1, counted: int = 1
) -> tuple[int, int]:
    """The height and width nearest to a picture's, of whole factors and with so many pixels.

    Source: `smart_resize` of transformers' Qwen2-VL, and of Qwen3-VL's video processor.

    Args:
        size: height and width of the picture.
        factor: what both sides are multiples of.
        least: pixels at least.
        most: pixels at most, however many the factors.
        frames: of a clip, whose pixels are those of all frames.
        counted: frames that are counted before anything is scaled.

    Raises:
        ValueError: for a picture that is too long.
    """
    height, width = size
    if max(size) > MAX_ASPECT * min(size):
        raise ValueError(
            f"a picture of {width}×{height} pixels is more than {MAX_ASPECT} times as long as wide;"
            " the language model reads none like it, so cut it"
        )
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    if counted * rows * columns > most:
        scale = math.sqrt(frames * height * width / most)
        rows = max(factor, math.floor(height / scale / factor) * factor)
        columns = max(factor, math.floor(width / scale / factor) * factor)
    elif counted * rows * columns < least:
        scale = math.sqrt(least / (frames * height * width))
        rows = math.ceil(height * scale / factor) * factor
        columns = math.ceil(width * scale / factor) * factor
    return rows, columns


def grid_run(grid: Grid, merge: int, interval: float = 1.0, behind_all: bool = False) -> SoftRun:
    """The positions of a grid's soft tokens along time, height and width.

    Source: Qwen2-VL, section 2.1 (M-RoPE); `get_rope_index` of transformers' Qwen2.5-VL.

    Args:
        grid: of patches.
        merge: patches of a soft token along each side.
        interval: positions from one frame to the next.
        behind_all: whether text goes on behind the positions along time too, not alone behind those
            along height and width.
    """
    rows, columns = grid.rows // merge, grid.columns // merge
    times = (torch.arange(grid.frames) * interval).long()
    axes = torch.meshgrid(times, torch.arange(rows), torch.arange(columns), indexing="ij")
    offsets = tuple(tuple(each.flatten().tolist()) for each in axes)
    advance = max(rows, columns, int(times[-1]) + 1 if behind_all else 0)
    return SoftRun(len(offsets[0]), offsets, advance)
