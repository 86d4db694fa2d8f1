"""Media of the sizes that a plan counts with, where a reader takes them of any size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from anymodal.media import Audio, Image, Media, Video


class TypicalMedium(NamedTuple):
    """A medium, and its size in words."""

    medium: Media
    size: str


def typical_medium(kind: type[Media]) -> TypicalMedium | None:
    """A picture, clip or sound as people give them; None for other kinds."""
    if kind is Image:
        picture = np.zeros((1024, 1024, 3), np.uint8)
        return TypicalMedium(Image(picture), "a picture of 1024 × 1024 pixels")
    if kind is Video:
        frames = np.zeros((16, 480, 832, 3), np.uint8)
        return TypicalMedium(Video(frames, 2.0), "a clip of 8 seconds, of 832 × 480 pixels")
    if kind is Audio:
        samples = np.zeros((1, 30 * 16_000), np.float32)
        return TypicalMedium(Audio(samples, 16_000), "a sound of 30 seconds")
    return None
