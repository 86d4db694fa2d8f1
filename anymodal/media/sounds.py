"""Media of any kind as waveforms, for loggers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymodal.media.audio import Audio
from anymodal.media.base import Media


def waveform(medium: Media) -> tuple[NDArray[np.float32], int] | None:
    """The mean of a medium's channels (T,) with its rate in Hz; None where it sounds nothing."""
    if not isinstance(medium, Audio):
        return None
    return medium.samples.mean(0), medium.rate
