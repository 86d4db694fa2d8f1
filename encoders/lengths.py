"""Recordings of which an encoder reads the beginning alone."""

from __future__ import annotations

import logging
from functools import lru_cache

from anymodal.media import IMU, Audio, Media, Video

_LOG = logging.getLogger("anymodal")
_SLACK = 0.05
"""Seconds beyond the end of what is read that nobody misses: a window's last frame."""


def cut_warning(media: Media, seconds: float | None) -> str | None:
    """Words about a recording that is longer than what is read from its start; None where it isn't.

    Args:
        media: the item; only an audio, video or IMU recording has a length.
        seconds: how much is read; None for all of it.
    """
    if seconds is None or not isinstance(media, Audio | Video | IMU):
        return None
    if media.duration <= seconds + _SLACK:
        return None
    return (
        f"{media.kind} of {media.duration:.1f} s: its encoder reads the first {seconds:.2f} s, the "
        "rest is left out"
    )


def warn_if_cut(recording: Audio | Video | IMU, seconds: float | None, remedy: str) -> None:
    """Warn, once for a recording, that it is longer than what is read from its start.

    Args:
        recording: the audio, video or IMU recording.
        seconds: how much is read; None for all of it.
        remedy: how to read more of it, for the message.
    """
    if (text := cut_warning(recording, seconds)) is not None:
        _warn(recording.digest(), text, remedy)


@lru_cache(1 << 16)  # once for a recording, however often it is read
def _warn(digest: str, text: str, remedy: str) -> None:
    _LOG.warning("%s; %s", text, remedy)
