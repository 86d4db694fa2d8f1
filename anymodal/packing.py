"""Several short sequences in each row of a batch, so that little of it is padding."""

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
    """Sequences packed into rows.

    Positions count from 0 in every sequence, which is how the language model knows where one ends:
    there is no attention across. A sequence's first label is ignored, since nothing predicts it.

    Shapes: ids, labels and positions (R, T).
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    places: list[Place]


def pack(sequences: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> Packed:
    """Pack token ids with their labels, first fit in the order given."""
    length = max(ROW, *(len(sequence) for sequence in sequences))
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
        torch.zeros(shape, dtype=torch.long),
        places,
    )
    for (row, start), ids, wanted in zip(places, sequences, labels, strict=True):
        stop = start + len(ids)
        packed.ids[row, start:stop] = torch.tensor(ids)
        packed.labels[row, start:stop] = torch.tensor([IGNORED, *wanted[1:]])
        packed.positions[row, start:stop] = torch.arange(len(ids))
    return packed
