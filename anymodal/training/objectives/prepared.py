"""Media of a batch as their encoder takes them, made by workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

import torch
from torch import Tensor

from anymodal.data.workers import PackedTensor


class PreparedMedia(NamedTuple):
    """Prepared media of a batch, as `Encoder.prepare` gave them.

    Attributes:
        places: of the media, among all of their modality in the batch.
        stacked: their tensors.
    """

    places: list[int]
    stacked: PackedTensor

    @classmethod
    def of(cls, tensors: Mapping[int, Tensor]) -> Self:
        """The tensors of one modality's media, at least one, by their places."""
        return cls([*tensors], PackedTensor.of(torch.stack([*tensors.values()])))

    def tensors(self) -> dict[int, Tensor]:
        """The tensors by their places."""
        return dict(zip(self.places, self.stacked.tensor(), strict=True))
