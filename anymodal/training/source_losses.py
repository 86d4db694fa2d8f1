"""Losses of a step by the data sets of a mixture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from anymodal.training.losses import ItemLosses

PartKey = tuple[str, str]
"""A loss's name, and the part of it."""


class SourceLosses:
    """Sums of losses by data set and part of a loss, on the device until a step ends.

    Args:
        sources: names of the data sets.
        parts: all parts of all losses, in the same order in every process.
        device: where losses are computed.
    """

    def __init__(
        self, sources: Sequence[str], parts: Iterable[PartKey], device: torch.device
    ) -> None:
        self.sources, self.parts = tuple(sources), list(parts)
        shape = len(self.parts), len(self.sources)
        self.sums, self.weights = torch.zeros(shape, device=device), torch.zeros(shape)

    def add(self, part: PartKey, items: ItemLosses, source_numbers: Sequence[int]) -> None:
        """Add the losses of a batch's things.

        Args:
            part: whose things they are.
            items: their losses.
            source_numbers: of each sample of the batch, the number of its data set.
        """
        row = self.parts.index(part)
        numbers = torch.tensor(source_numbers, dtype=torch.long)[items.samples]  # (N,)
        shares = numbers == torch.arange(len(self.sources))[:, None]  # (S, N)
        weighted = shares.float() if items.weights is None else shares * items.weights
        self.weights[row] += weighted.sum(1)
        # A product of matrices: additions by index would come in any order on a GPU.
        moved = weighted.to(items.values.device, non_blocking=True)
        self.sums[row] += torch.where(moved > 0, moved * items.values.float(), 0).sum(1)

    def table(self) -> Tensor:
        """All sums in a row, to be added up over processes."""
        weights = self.weights.to(self.sums.device, non_blocking=True)
        return torch.cat([self.sums.flatten(), weights.flatten()])

    def read(self, values: Sequence[float]) -> dict[str, tuple[float, float]]:
        """Sum and weight of each mean that there is something of, by its name in the log."""
        half = len(values) // 2
        names = [
            "/".join(each for each in (*part, source) if each)
            for part in self.parts
            for source in self.sources
        ]
        pairs = zip(names, values[:half], values[half:], strict=True)
        return {name: (total, weight) for name, total, weight in pairs if weight}
