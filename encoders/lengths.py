"""What is said when an encoder reads less of a recording than there is."""

from __future__ import annotations

import logging
from functools import lru_cache

from anymodal.media import IMU, Audio, Video

_LOG = logging.getLogger("anymodal")
_SLACK = 0.05
"""Seconds beyond the end of what is read that nobody misses: a window's last frame."""


def tell_cut(recording: Audio | Video | IMU, seconds: float, way: str) -> None:
    """Warn, once for a recording, that it is longer than what is read from its start.

    Args:
        recording: it.
        seconds: how much is read.
        way: what reads more of it.
    """
    if recording.duration > seconds + _SLACK:
        _tell(recording.digest(), recording.kind, recording.duration, seconds, way)


@lru_cache(1 << 16)  # remembers of which recordings it was said
def _tell(digest: str, kind: str, total: float, seconds: float, way: str) -> None:
    _LOG.warning(
        "%s of %.1f s: its encoder reads the first %.2f s, the rest is left out; %s",
        kind, total, seconds, way,
    )  # fmt: skip
