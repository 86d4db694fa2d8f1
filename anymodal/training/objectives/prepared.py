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
        shapes: of their tensors, by the media's places among all of their modality in the batch.
        joined: the tensors, one behind the other.
    """

    shapes: dict[int, torch.Size]
    joined: PackedTensor

    @classmethod
    def of(cls, tensors: Mapping[int, Tensor]) -> Self:
        """The tensors of one modality's media, at least one, by their places."""
        shapes = {place: tensor.shape for place, tensor in tensors.items()}
        return cls(shapes, PackedTensor.of(torch.cat([t.flatten() for t in tensors.values()])))

    def tensors(self) -> dict[int, Tensor]:
        """The tensors by their places."""
        parts = self.joined.tensor().split([shape.numel() for shape in self.shapes.values()])
        pairs = zip(self.shapes.items(), parts, strict=True)
        return {place: part.view(shape) for (place, shape), part in pairs}
