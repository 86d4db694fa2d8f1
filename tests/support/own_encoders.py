"""Encoders of somebody's own, of random weights that no file holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anymodal.encoders import Encoder
from anymodal.media import IMU, Image
from anymodal.types import Features


class Trunk(nn.Module):
    """A network of somebody else, with a buffer that training changes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(3, width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        values = self.layer(x)
        return self.norm(values.transpose(1, 2)).transpose(1, 2)


class Colours(Encoder):
    """The mean colour of each row of a picture; of random weights, which no file holds."""

    media: Any = Image

    def __init__(self, width: int = 6, *, rows: int = 2) -> None:
        super().__init__()
        self.width, self.rows = width, rows
        self.trunk = Trunk(width)

    def prepare(self, media: Any) -> Tensor:
        pixels = torch.tensor(np.array(media.pixels[: self.rows])).float() / 255
        return pixels.mean(1)

    def forward(self, batch: Tensor) -> Features:
        values = self.trunk(batch)
        return Features(values, torch.ones(values.shape[:2], dtype=torch.bool))

    def embed(self, batch: Tensor) -> Tensor:
        return self(batch).values.mean(1)


class Wrapped(Colours):
    """The same around an object, of which nobody can say how it was built."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk


class Photo(Image):
    """Pictures that an encoder of their own reads."""

    kind = "photo"


class PhotoColours(Colours):
    media = Photo


class Moves(Encoder):
    """Means of a recording's sensors over time."""

    media: Any = IMU
    width = 6

    def prepare(self, media: Any) -> Tensor:
        return torch.tensor(np.array(media.samples)).mean(1, keepdim=True).T

    def forward(self, batch: Tensor) -> Features:
        return Features(batch, torch.ones(batch.shape[:2], dtype=torch.bool))

    def embed(self, batch: Tensor) -> Tensor:
        return batch[:, 0]
