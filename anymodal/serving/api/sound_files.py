"""Files of sounds, in the formats that clients of OpenAI's API ask for."""

from __future__ import annotations

from typing import Literal

from anymodal.media import Audio, Media
from anymodal.media.lossy_sound import LOSSY_SUFFIXES, encode_lossy

SoundFormat = Literal["wav", "flac", "mp3", "opus", "aac"]
SOUND_MIMES: dict[str, str] = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
}


def encode_medium(medium: Media, suffix: str) -> bytes:
    """A medium's file, of a sound also in a format with loss.

    Raises:
        ValueError: there is no such file of it.
    """
    if suffix in LOSSY_SUFFIXES and isinstance(medium, Audio):
        return encode_lossy(medium, suffix)
    return medium.encode(suffix)
