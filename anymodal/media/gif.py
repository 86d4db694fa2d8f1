"""GIF files: their blocks, walked without decoding any (GIF89a specification)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from anymodal.media.limits import MediaError
from anymodal.media.picture_file import PictureFile, damaged_error, image_cut_short
from anymodal.media.source import GIF, Blob

_BLOCKS = 4_000_000
_ROOM, _MOST_ROOM = 4_000_000, 64  # a canvas may be empty up to here, beyond it by so much
_NS_PER_PIXEL, _NS_PER_BLOCK = 15, 400


@dataclass(frozen=True)
class GifStart:
    """A GIF up to the end of its first picture.

    Args:
        width: pixels of the canvas, which a picture that reaches beyond it makes larger.
        height: pixels of the canvas.
        end: where the first picture ends.
        blocks: blocks up to there.
        pictures: 1, or 2 where there are more.
        area: pixels that the first picture has.
    """

    width: int
    height: int
    end: int
    blocks: int
    pictures: int
    area: int


def gif_start(blob: Blob) -> GifStart:
    """The canvas of a GIF, its first picture, and whether it has another.

    Raises:
        ValueError: if it is cut short, or holds no picture.
    """
    data = blob.data
    if len(data) < 13:
        raise image_cut_short(blob)
    width, height = struct.unpack_from("<HH", data, 6)
    at = 13 + _colors(data[10])
    end = pictures = first = total = area = 0
    while pictures < 2:
        kind = data[at : at + 1]
        if kind == b"," and at + 10 < len(data):
            x, y, w, h = struct.unpack_from("<4H", data, at + 1)
            at += 11 + _colors(data[at + 9])
            pictures += 1
            if pictures == 1:
                width, height, area = max(width, x + w), max(height, y + h), w * h
        elif kind == b"!":
            at += 2
        elif kind == b"" or kind == b",":
            raise image_cut_short(blob)
        elif kind == b";" or pictures:  # bytes behind the picture that are no block end it
            break
        else:
            raise damaged_error(blob, GIF, "an unknown block")
        at, count = _skip(blob, at, total)
        total += count
        if kind == b"," and not end:
            end, first = at, total
    if not pictures:
        raise damaged_error(blob, GIF, "it holds no picture")
    return GifStart(width, height, end, first, pictures, area)


def _colors(flags: int) -> int:
    """Bytes of the palette that a byte of flags announces."""
    # Three bytes for each of 2^(n + 1) colours (GIF89a, section 18).
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip(blob: Blob, at: int, before: int) -> tuple[int, int]:
    """The end of a chain of sub-blocks, and their number."""
    data, count = blob.data, 0
    while at < len(data) and data[at]:
        at += 1 + data[at]
        count += 1
        if before + count > _BLOCKS:
            raise MediaError(f"{blob.name} is GIF of more than {_BLOCKS:,} blocks; save it anew")
    if at >= len(data):
        raise image_cut_short(blob)
    return at + 1, count


def read_gif(blob: Blob) -> PictureFile:
    """The header of a GIF of one picture; its data up to the end of that.

    Raises:
        ValueError: if it is cut short or damaged.
    """
    start = gif_start(blob)
    canvas = start.width * start.height
    if canvas > _ROOM and canvas > _MOST_ROOM * start.area:
        raise MediaError(
            f"{blob.name} claims a canvas of {start.width}×{start.height} pixels around a picture "
            f"of {start.area:,}, {_MOST_ROOM} times as many at most; save it anew"
        )
    return PictureFile(
        blob.data[: start.end] + b";",
        start.width,
        start.height,
        per_pixel=2,
        effort=_NS_PER_PIXEL * start.width * start.height + _NS_PER_BLOCK * start.blocks,
    )


def gif_end(blob: Blob) -> int:
    """The end of a GIF's trailer; bytes behind it are none of the file's.

    Raises:
        ValueError: if it ends before its trailer, or holds what is no block.
    """
    data, total = blob.data, 0
    at = 13 + _colors(data[10]) if len(data) > 10 else len(data)
    while at < len(data) and data[at : at + 1] != b";":
        kind = data[at : at + 1]
        if kind == b"\0":  # some programs fill up between blocks
            at += 1
            continue
        if kind == b"," and at + 10 < len(data):
            at += 11 + _colors(data[at + 9])
        elif kind == b"!":
            at += 2
        elif kind == b",":
            raise image_cut_short(blob)
        else:
            raise damaged_error(blob, GIF, "an unknown block")
        at, count = _skip(blob, at, total)
        total += count
    if at >= len(data):
        raise image_cut_short(blob)
    return at + 1
