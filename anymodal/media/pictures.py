"""Media of any kind as images, for metrics of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymodal.media.base import Media
from anymodal.media.image import Image
from anymodal.media.video import Video


def pictures(medium: Media, most: int = 8) -> NDArray[np.uint8] | None:
    """The colour pictures of a medium, of a clip evenly spaced frames; None where it shows none.

    Shapes: (T, H, W, 3) with T up to `most`, and 1 for a still picture.
    """
    if isinstance(medium, Image):
        return medium.pixels[None]
    if isinstance(medium, Video):
        count = len(medium.frames)
        places = np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)
        return np.ascontiguousarray(medium.frames[places])
    return None
