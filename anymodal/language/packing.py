"""Sequences in the rows of a batch: several short ones in each, or one and its padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from anymodal.language.costs import device_costs
from anymodal.language.model import IGNORED

ROW, LONGEST, STEP = 192, 1024, 64
"""Positions in a row, at least and at most, and the step between the lengths that are tried."""


class Place(NamedTuple):
    """Position of a sequence's first token in a packed batch."""

    row: int
    start: int


class Packed(NamedTuple):
    """Sequences in rows.

    Positions count from 0 in every sequence, which is how the language model knows where one ends:
    there is no attention across. In a row of one sequence they go on through the padding, which
    comes after all that is real and so is seen by none of it. A sequence's first label is ignored,
    since nothing predicts it.

    Shapes: ids, labels and positions (R, T); positions (1 + A, R, T) where those along the language
    model's A axes are others than the places.
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    places: list[Place]

    @property
    def alone(self) -> bool:
        """Return whether each sequence has a row of its own."""
        return all(place == (row, 0) for row, place in enumerate(self.places))


def pack(
    sequences: Sequence[Sequence[int]],
    labels: Sequence[Sequence[int]],
    share_rows: bool | None = True,
    width: int | None = None,
    device: str = "cpu",
    axes: Sequence[Tensor | None] = (),
) -> Packed:
    """Lay token ids and their labels out in rows.

    Args:
        sequences: token ids.
        labels: of the same lengths.
        share_rows: several in a row, first fit in the order given; False for a row each; None for
            what costs less.
        width: of the language model. Rows then have the length that costs it least: long ones have
            less padding, and more attention. None for `ROW`. No row is shorter than a sequence.
        device: the kind of device that reads them, whose costs count.
        axes: positions of each sequence (A, T), None where they are its places; none where all are.
    """
    sizes = [len(sequence) for sequence in sequences]
    places, lengths = min(
        (_first_fit(sizes, length) for length in _lengths(sizes, share_rows, width)),
        key=lambda fit: _cost(fit[1], width or 1, device, len(fit[1]) < len(sizes)),
    )
    shape = (len(lengths), max(lengths))
    share_rows = len(lengths) < len(sizes)
    batch = Packed(
        torch.zeros(shape, dtype=torch.long),
        torch.full(shape, IGNORED),
        torch.zeros(shape, dtype=torch.long)
        if share_rows
        else torch.arange(shape[1]).repeat(shape[0], 1),
        places,
    )
    for (row, start), ids, targets in zip(places, sequences, labels, strict=True):
        stop = start + len(ids)
        batch.ids[row, start:stop] = torch.tensor(ids)
        batch.labels[row, start:stop] = torch.tensor([IGNORED, *targets[1:]])
        batch.positions[row, start:stop] = torch.arange(len(ids))
    num_axes = next((len(each) for each in axes if each is not None), None)
    if num_axes is None:
        return batch
    positions = batch.positions.repeat(1 + num_axes, 1, 1)
    for (row, start), each in zip(places, axes, strict=True):
        if each is not None:
            positions[1:, row, start : start + each.shape[1]] = each
    return batch._replace(positions=positions)


def _lengths(sizes: Sequence[int], share_rows: bool | None, width: int | None) -> list[int]:
    """Lengths of rows to choose from; 0 for a row each."""
    least = max(ROW, *sizes)
    several = list(range(least, LONGEST + 1, STEP)) if width is not None else []
    return {True: several or [least], False: [0], None: [0, *several]}[share_rows]


def _first_fit(sizes: Sequence[int], length: int) -> tuple[list[Place], list[int]]:
    """Places of sequences in rows of a length, first fit, and the filled length of each row."""
    lengths: list[int] = []
    places = []
    for size in sizes:
        row = next((r for r, total in enumerate(lengths) if total + size <= length), None)
        if row is None:
            row = len(lengths)
            lengths.append(0)
        places.append(Place(row, lengths[row]))
        lengths[row] += size
    return places, lengths


def _cost(lengths: Sequence[int], width: int, device: str, shared: bool) -> float:
    """The cost of rows for a language model, in positions."""
    return device_costs(device).rows(len(lengths), max(lengths), width, shared)


def supervised_sequences(packed: Packed) -> Tensor:
    """Numbers (N,) of the sequences that supervised positions are of, row by row."""
    rows, columns = (packed.labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    length = packed.labels.shape[1]
    starts, order = torch.tensor([row * length + start for row, start in packed.places]).sort()
    flat = rows * length + columns + 1  # never a sequence's first, whose label is ignored
    return order[torch.searchsorted(starts, flat, right=True) - 1]


def supervised(labels: Tensor) -> int:
    """Number of positions that `LanguageModel.loss` is a mean over, of labels (B, T)."""
    return int((labels[:, 1:] != IGNORED).sum())
