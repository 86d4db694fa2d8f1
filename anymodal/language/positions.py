"""Positions of prompts: places one after another, and those that media have along several axes.

Shapes: A axes of a language model's positions, B rows, T places.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from anymodal.types import SoftRun


def axes_of(runs: Iterable[tuple[int, SoftRun]], length: int, num_axes: int) -> Tensor | None:
    """Positions (A, T) of a prompt; None where they follow one another, as of text alone.

    Args:
        runs: of its media in order, each with its first place.
        length: T.
        num_axes: A.

    Raises:
        ValueError: for a run with offsets along another number of axes, or of another length.
    """
    runs = list(runs)
    if all(not run.offsets and run.advance is None for _, run in runs):
        return None
    pieces: list[Tensor] = []
    place = position = 0
    for start, run in runs:
        pieces.append(_after(position, start - place, num_axes))
        position += start - place
        pieces.append(_offsets(run, num_axes) + position)
        position += run.count if run.advance is None else run.advance
        place = start + run.count
    pieces.append(_after(position, length - place, num_axes))
    return torch.cat(pieces, 1)


def _after(position: int, count: int, num_axes: int) -> Tensor:
    """Positions (A, count) that follow one another."""
    return torch.arange(position, position + count).expand(num_axes, -1)


def _offsets(run: SoftRun, num_axes: int) -> Tensor:
    if not run.offsets:
        return _after(0, run.count, num_axes)
    offsets = torch.tensor(run.offsets)
    if offsets.shape != (num_axes, run.count):
        raise ValueError(
            f"a media item's {run.count} positions have offsets of shape {tuple(offsets.shape)}; "
            f"this language model's positions have {num_axes} axes"
        )
    return offsets


def with_places(axes: Tensor) -> Tensor:
    """Places and positions (1 + A, T) of a prompt, from its positions (A, T)."""
    return torch.cat([torch.arange(axes.shape[1])[None], axes])


def offset_after(positions: Tensor | None) -> int:
    """The distance from a text's place behind a prompt to its position.

    Source: `mrope_position_deltas` of transformers' Qwen2-VL: behind the greatest of all axes.

    Args:
        positions: the prompt's places and positions (1 + A, T); None where they are the same.
    """
    if positions is None:
        return 0
    return int(positions[1:].max()) + 1 - positions.shape[1]


def text_positions(
    places: Tensor, offsets: Sequence[int], device: torch.device | None = None
) -> Tensor | None:
    """Places and positions (2, B, T) of texts behind prompts; None where they are the same.

    Args:
        places: of the texts (B, T).
        offsets: of each row, see `offset_after`.
        device: where they go.
    """
    if not any(offsets):
        return None
    places = places.to(device)
    return torch.stack([places, places + torch.tensor([*offsets], device=places.device)[:, None]])


def pad_positions(rows: Sequence[Tensor | None], lengths: Sequence[int]) -> Tensor | None:
    """Places and positions (1 + A, B, W) of prompts padded on the left; None if all are text.

    Args:
        rows: of each prompt (1 + A, T), None where its positions are its places.
        lengths: T of each.
    """
    axes = next((len(row) for row in rows if row is not None), None)
    if axes is None:
        return None
    block = torch.zeros(axes, len(rows), max(lengths), dtype=torch.long)
    for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        values = torch.arange(length).expand(axes, -1) if row is None else row
        block[:, index, block.shape[2] - length :] = values
    return block


def position_inputs(positions: Tensor, num_axes: int, unmasked: bool) -> dict[str, Tensor]:
    """The arguments by which a backbone of transformers takes positions.

    Args:
        positions: places (B, T), or places and positions (1 + A, B, T).
        num_axes: of the backbone's positions.
        unmasked: whether it would make a mask of them, as it does without a mask and a cache.
    """
    if num_axes > 1:
        # transformers' form for packed rows: places before the positions along the axes.
        places, axes = positions[:1], positions[1:]
        if positions.ndim == 2:
            places = axes = positions[None]
        return {"position_ids": torch.cat([places, axes.expand(num_axes, -1, -1)])}
    if positions.ndim == 2:
        return {"position_ids": positions}
    # Positions that don't follow one another would be read as sequences in one row.
    mask = {"attention_mask": torch.ones_like(positions[0])} if unmasked else {}
    return {"position_ids": positions[1], **mask}
