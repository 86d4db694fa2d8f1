"""Media of a batch as their encoder takes them, made by workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class PreparedMedia(NamedTuple):
    """What `Encoder.prepare` gave for some media of a batch.

    As bytes, which workers send through a pipe: torch sends tensors through shared memory, of which
    containers often have 64 MB.

    Attributes:
        places: of the media, among all of their modality in the batch.
        data: the bytes of all tensors.
        dtype: their type.
        shape: of one of them.
    """

    places: list[int]
    data: NDArray[np.uint8]
    dtype: torch.dtype
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensors: Mapping[int, Tensor]) -> Self:
        """The tensors of one modality's media, at least one, by their places."""
        stacked = torch.stack([*tensors.values()])
        data = stacked.reshape(-1).view(torch.uint8).numpy()
        return cls([*tensors], data, stacked.dtype, tuple(stacked.shape[1:]))

    def tensors(self) -> dict[int, Tensor]:
        """The tensors by their places."""
        stacked = torch.from_numpy(self.data).view(self.dtype).view(len(self.places), *self.shape)
        return dict(zip(self.places, stacked, strict=True))
