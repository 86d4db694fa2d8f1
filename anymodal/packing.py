"""Sequences in the rows of a batch: several short ones in each, or one and its padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from anymodal.language import IGNORED

ROW = 192
"""Positions in a row, unless a sequence is longer."""


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
    sequences: Sequence[Sequence[int]], labels: Sequence[Sequence[int]], together: bool = True
) -> Packed:
    """Lay token ids and their labels out in rows.

    Args:
        sequences: token ids.
        labels: of the same lengths.
        together: several in a row, first fit in the order given; else each in a row of its own.
    """
    length = max(ROW, *(len(sequence) for sequence in sequences)) if together else 0
    filled: list[int] = []
    places = []
    for sequence in sequences:
        row = next((r for r, used in enumerate(filled) if used + len(sequence) <= length), None)
        if row is None:
            row = len(filled)
            filled.append(0)
        places.append(Place(row, filled[row]))
        filled[row] += len(sequence)
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
