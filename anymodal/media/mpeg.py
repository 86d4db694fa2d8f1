"""The length of an MP3 by its first frame: headers of Xing, LAME and Fraunhofer."""

from __future__ import annotations

import re

_TAG = re.compile(rb"\xff[\xe2-\xff]..(?:.{9}|.{17}|.{32})(?:..)?(Xing|Info|VBRI)", re.DOTALL)

_FIELDS = ((1, 4), (2, 4), (4, 100), (8, 4))
"""Flags of Xing's header, and the bytes of what is there: frames, bytes, a table, quality."""


def mp3_samples(data: bytes) -> int:
    """The number of samples by the header; 0 where there is no such header.

    It stands in the first frame, behind the side information (Xing; "Info" for a constant bit
    rate) or 32 bytes on (VBRI). Where LAME's part of it follows, what the encoder added at both
    ends isn't counted; else each frame is whole.
    """
    match = _TAG.search(data[:65_536])
    if match is None:
        return 0
    at = match.start(1)
    added = 0
    if match[1] == b"VBRI":
        frames = int.from_bytes(data[at + 14 : at + 18], "big")
    else:
        flags = int.from_bytes(data[at + 4 : at + 8], "big")
        frames = int.from_bytes(data[at + 8 : at + 12], "big") if flags & 1 else 0
        added = _samples_added(data, at + 8 + sum(size for bit, size in _FIELDS if flags & bit))
    # MPEG-1 has 1152 samples in a frame of layer III, MPEG-2 and 2.5 have 576.
    version = data[match.start() + 1] >> 3 & 3
    return max(0, frames * (1152 if version == 3 else 576) - added)


def _samples_added(data: bytes, at: int) -> int:
    """Samples at both ends that an encoder added, by LAME's part of a header, which begins with
    the encoder's name; 0 where there is none.

    Source: the Mp3 Info Tag, revision 1: twelve bits each, 21 bytes behind the name's beginning.
    """
    if data[at : at + 4] not in (b"LAME", b"Lavf", b"Lavc"):
        return 0
    both = int.from_bytes(data[at + 21 : at + 24], "big")
    return (both >> 12) + (both & 0xFFF)
