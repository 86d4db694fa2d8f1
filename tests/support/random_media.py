"""Random values for media, which differ from call to call, and media that every run has alike."""

from __future__ import annotations

import numpy as np

from anymodal.media import IMU, Audio, Depth, Image, Media, Normal, PointCloud, Thermal, Video

RNG = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def noise(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32) * np.float32(0.1)


ODD_MEDIA: dict[type[Media], list[Media]] = {
    Image: [Image(pixels(*size, 3)) for size in ((1, 1), (1, 900), (31, 17), (16, 16), (90, 41))],
    Video: [
        Video(pixels(frames, *size, 3), fps=fps)
        for frames, size, fps in ((1, (5, 9), 30.0), (3, (16, 16), 1.0), (40, (33, 20), 11.5))
    ],
    Audio: [
        Audio(noise(channels, samples), rate=rate)
        for channels, samples, rate in ((1, 1, 16000), (2, 333, 44100), (1, 90001, 22050))
    ],
    IMU: [
        IMU(noise(6, samples), rate=rate)
        for samples, rate in ((1, 100.0), (37, 52.5), (5000, 400.0))
    ],
    Depth: [Depth(np.abs(noise(*size))) for size in ((1, 1), (30, 71), (64, 16))],
    Thermal: [Thermal(pixels(*size)) for size in ((1, 1), (30, 71), (64, 16))],
    Normal: [Normal(noise(*size, 3).clip(-1, 1)) for size in ((1, 1), (30, 71), (64, 16))],
    PointCloud: [
        PointCloud(noise(1, 3)),
        PointCloud(noise(7, 3), pixels(7, 3)),
        PointCloud(1e30 * noise(300, 3)),
    ],
}
"""Odd sizes, rates and durations, the shortest first."""

MEDIA: dict[type[Media], Media] = {
    Image: Image(pixels(40, 52, 3)),
    Audio: Audio(noise(1, 9000), rate=16000),
    Video: Video(pixels(9, 40, 36, 3), fps=4.0),
}
"""One medium of each of the classes that most models read."""
