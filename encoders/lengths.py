"""A warning where an encoder reads less of a recording than there is."""

from __future__ import annotations

import logging
from functools import lru_cache

from anymodal.media import IMU, Audio, Video

_LOG = logging.getLogger("anymodal")
_SLACK = 0.05
"""Seconds beyond the end of what is read that nobody misses: a window's last frame."""


def warn_if_cut(recording: Audio | Video | IMU, seconds: float, remedy: str) -> None:
    """Warn, once for a recording, that it is longer than what is read from its start.

    Args:
        recording: the audio, video or IMU recording.
        seconds: how much is read.
        remedy: how to read more of it, for the message.
    """
    if recording.duration > seconds + _SLACK:
        _warn(recording.digest(), recording.kind, recording.duration, seconds, remedy)


@lru_cache(1 << 16)  # once for a recording, however often it is read
def _warn(digest: str, kind: str, total: float, seconds: float, remedy: str) -> None:
    _LOG.warning(
        "%s of %.1f s: its encoder reads the first %.2f s, the rest is left out; %s",
        kind, total, seconds, remedy,
    )  # fmt: skip
