"""An encoder of movement: what a phone's sensors measure in 128 readings, as one token."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from anymodal.encoders import Encoder
from anymodal.media import IMU
from anymodal.types import Features

BANDS = [*range(1, 13), 13, 15, 17, 20, 23, 27, 33, 41, 51, 65]
"""Edges of bands of a spectrum, in steps of the lowest frequency."""
RANKS = (0, 6, 16, 32, 64, 96, 112, 121, 127)
LAGS = (2, 5, 10, 20, 30, 40)


def signals(batch):
    """Fifteen signals (B, 15, 128): the sensors' own, and parts of them for any pocket."""
    acc, gyro = batch[:, :3] / 9.80665, batch[:, 3:]  # g, rad/s
    gravity = acc.mean(-1, keepdim=True)
    down, body = F.normalize(gravity, dim=1), acc - gravity
    up, turn = (body * down).sum(1, keepdim=True), (gyro * down).sum(1, keepdim=True)
    jerk = 10 * F.pad(acc.diff(dim=-1), (1, 0))
    parts = (acc, gyro, body - up * down, gyro - turn * down, jerk)
    return torch.cat([acc, gyro, up, turn, *(x.norm(dim=1, keepdim=True) for x in parts)], 1)


def measure(batch):
    """Measurements (B, 525) of windows (B, 6, 128): statistics, spectra, what moves together."""
    s = signals(batch)
    mean = s.mean(-1, keepdim=True)
    deviation = (s - mean).square().mean(-1).sqrt() + 1e-3
    z = (s - mean) / deviation[..., None]
    window = torch.hann_window(s.shape[-1], dtype=s.dtype, device=s.device)
    power = torch.log(torch.fft.rfft((s - mean) * window).abs().square() + 1e-4)
    bands = [power[..., a:b].mean(-1) for a, b in itertools.pairwise(BANDS)]
    ranked = s.sort(-1).values[..., RANKS].flatten(1)
    lags = [(z[..., lag:] * z[..., :-lag]).mean(-1) for lag in LAGS]
    pairs = [(z[:, i] * z[:, j]).mean(-1)[:, None] for i, j in itertools.combinations(range(6), 2)]
    upright = F.normalize(mean[:, :3, 0], dim=1)
    return torch.cat(
        [mean[..., 0], deviation, deviation.log(), ranked, *bands, *lags, *pairs, upright], 1
    )


class MovementEncoder(Encoder):
    """Measurements of a window, and a layer that learns what to make of them."""

    media = IMU

    def __init__(self, width=256, dropout=0.5):
        super().__init__()
        self.width, count = width, measure(torch.randn(1, 6, 128)).shape[1]
        self.shift, self.scale = (nn.Parameter(torch.zeros(count)) for _ in range(2))
        self.net = nn.Sequential(
            nn.Dropout(dropout / 2),
            nn.Linear(count, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(dropout),
        )

    def prepare(self, media):
        samples = torch.from_numpy(media.samples)[:, :128]
        return F.pad(samples, (0, 128 - samples.shape[1]))

    def embed(self, batch):
        x = measure(batch)
        if self.training and not self.scale.any():  # its first batch (ActNorm, Kingma 2018)
            with torch.no_grad():
                self.shift.copy_(x.mean(0))
                self.scale.copy_(1 / (x.std(0) + 1e-3))
        return self.net(((x - self.shift) * self.scale).clamp(-5, 5))

    def forward(self, batch):
        return Features(self.embed(batch)[:, None], torch.ones(len(batch), 1, dtype=torch.bool))
