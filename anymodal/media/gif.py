"""The blocks of GIF (GIF89a, section 12 on): how many pictures there are, and where they end."""

from __future__ import annotations

from typing import NamedTuple

from anymodal.media.limits import MediaError
from anymodal.media.source import Blob
from anymodal.media.spans import cut_bytes

_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, 0x3B


class GifBlocks(NamedTuple):
    """What a GIF's blocks tell without decoding any."""

    pictures: int
    end: int


def gif_blocks(blob: Blob) -> GifBlocks:
    """Walk a GIF from block to block up to its trailer; what stands behind it is none of ours.

    Raises:
        ValueError: if it ends before its trailer, or a block is none.
    """
    data, pictures = blob.data, 0
    at = 13 + _palette(data, 10)
    while at < len(data):
        kind = data[at]
        if kind == _TRAILER:
            return GifBlocks(pictures, at + 1)
        if kind == _PICTURE:
            pictures += 1
            at = _skip(blob, at + 11 + _palette(data, at + 9))  # behind the size of codes
        elif kind == _EXTENSION:
            at = _skip(blob, at + 2)
        elif kind == 0:  # some programs fill up between blocks
            at += 1
        else:
            raise MediaError(
                f"{blob.name} starts as a GIF file, but it is damaged at byte {at:,}; "
                "save or download it again"
            )
    raise cut_bytes(blob.name, len(data), len(data) + 1)


def _palette(data: bytes, flags_at: int) -> int:
    """The bytes of the palette that a byte of flags announces."""
    flags = data[flags_at] if flags_at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip(blob: Blob, at: int) -> int:
    """Where a chain of sub-blocks ends, each behind a byte that tells its size."""
    data, count = blob.data, 0
    while at < len(data) and data[at]:
        at += 1 + data[at]
        count += 1
        if count % 4096 == 0:
            blob.budget.check()
    return at + 1
