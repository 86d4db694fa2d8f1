"""Sequences in the rows of a batch: several short ones in each, or one and its padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from anymodal.language.model import IGNORED

ROW, LONGEST, STEP = 192, 1024, 64
"""Positions in a row, at least and at most, and what lies between the lengths that are tried."""


class Place(NamedTuple):
    """Where a sequence begins in a packed batch."""

    row: int
    start: int


class Packed(NamedTuple):
    """Sequences in rows.

    Positions count from 0 in every sequence, which is how the language model knows where one ends:
    there is no attention across. In a row of one sequence they go on through the padding, which
    comes after all that is real and so is seen by none of it. A sequence's first label is ignored,
    since nothing predicts it.

    Shapes: ids, labels and positions (R, T).
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    places: list[Place]


def pack(
    sequences: Sequence[Sequence[int]],
    labels: Sequence[Sequence[int]],
    together: bool = True,
    width: int | None = None,
) -> Packed:
    """Lay token ids and their labels out in rows.

    Args:
        sequences: token ids.
        labels: of the same lengths.
        together: several in a row, first fit in the order given; else each in a row of its own.
        width: of the language model. Rows then have the length that costs it least: long ones have
            less padding, and more attention. None for `ROW`. No row is shorter than a sequence.
    """
    sizes = [len(sequence) for sequence in sequences]
    least = max(ROW, *sizes) if together else 0
    tried = range(least, LONGEST + 1, STEP) if together and width is not None else ()
    places, filled = min(
        (_fitted(sizes, length) for length in tried or (least,)),
        key=lambda fit: _cost(fit[1], width or 1),
    )
    shape = (len(filled), max(filled))
    packed = Packed(
        torch.zeros(shape, dtype=torch.long),
        torch.full(shape, IGNORED),
        torch.zeros(shape, dtype=torch.long)
        if together
        else torch.arange(shape[1]).repeat(shape[0], 1),
        places,
    )
    for (row, start), ids, wanted in zip(places, sequences, labels, strict=True):
        stop = start + len(ids)
        packed.ids[row, start:stop] = torch.tensor(ids)
        packed.labels[row, start:stop] = torch.tensor([IGNORED, *wanted[1:]])
        packed.positions[row, start:stop] = torch.arange(len(ids))
    return packed


def _fitted(sizes: Sequence[int], length: int) -> tuple[list[Place], list[int]]:
    """Where sequences go in rows of a length, first fit, and how far each row is filled."""
    filled: list[int] = []
    places = []
    for size in sizes:
        row = next((r for r, used in enumerate(filled) if used + size <= length), None)
        if row is None:
            row = len(filled)
            filled.append(0)
        places.append(Place(row, filled[row]))
        filled[row] += size
    return places, filled


def _cost(filled: Sequence[int], width: int) -> float:
    """What rows cost a transformer, relatively.

    A layer of width D has about 24 D² FLOPs a position in its matrices, and 4 T D in attention over
    T positions.
    """
    length = max(filled)
    return len(filled) * length * (1 + length / (6 * width))
