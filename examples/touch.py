"""A mat that feels where and how hard it is pressed: a class of media, and its encoder."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from anymodal.encoders import Encoder
from anymodal.media import Media
from anymodal.media.arrays import read_npy, write_npy
from anymodal.types import Features


@dataclass(eq=False)
class Touch(Media):
    """How hard each cell of the mat is pressed, frame by frame: (20, 8, 8), float32."""

    frames: np.ndarray
    kind, suffix, saves = "touch", ".touch", (".touch",)

    def html(self):
        return f"<pre>{self.frames.mean(0).round(1)}</pre>"

    def _encode(self, suffix):
        return write_npy(self.frames)

    @classmethod
    def _decode(cls, blob, fmt, limits, **hints):
        return cls(read_npy(blob, limits, ndim=3))


class TouchEncoder(Encoder):
    """A recurrent network over frames: one token per frame, the last one embeds the whole."""

    media, width = Touch, 96

    def __init__(self):
        super().__init__()
        self.cells = nn.Sequential(nn.Linear(64, 96), nn.GELU())
        self.time = nn.GRU(96, 96, batch_first=True)
        self.joint = nn.Linear(96, 128)  # as wide as the embedding of the anchor

    def prepare(self, media):
        return torch.tensor(media.frames).flatten(1)  # (20, 8, 8) -> (20, 64)

    def forward(self, batch):
        values, _ = self.time(self.cells(batch))
        return Features(values, torch.ones(values.shape[:2], dtype=torch.bool).to(values.device))

    def embed(self, batch):
        return self.joint(self(batch).values[:, -1])
