"""Sounds that are faster or slower, at the same pitch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from anymodal.media.audio import Audio

_PIECE = 1 << 14  # samples that are filtered together


def at_speed(sound: Audio, speed: float) -> Audio:
    """A sound at a speed, as one channel, by FFmpeg's `atempo` (overlapping windows, WSOLA).

    One that is shorter than a window stays as it is.

    Args:
        sound: of any rate.
        speed: 2 for half as long, 0.5 for twice as long.
    """
    import av

    sound = sound.mono()
    graph = av.filter.Graph()
    nodes = [graph.add_abuffer(sample_rate=sound.rate, format="flt", layout="mono")]
    # Each filter between a half and 2, beyond which samples are left out instead of blended.
    count = max(1, math.ceil(abs(math.log2(speed))))
    nodes += [graph.add("atempo", str(speed ** (1 / count))) for _ in range(count)]
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes).configure()
    for first in range(0, sound.samples.shape[1], _PIECE):
        samples = np.ascontiguousarray(sound.samples[:, first : first + _PIECE])
        piece = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        piece.rate, piece.pts = sound.rate, first
        graph.push(piece)
    graph.push(None)
    pieces: list[NDArray[Any]] = [np.zeros((1, 0), np.float32)]
    while True:
        try:
            pieces.append(graph.pull().to_ndarray())
        except (av.error.EOFError, av.error.BlockingIOError):
            break
    samples = np.concatenate(pieces, axis=1)
    return type(sound)(samples, sound.rate) if samples.size else sound
