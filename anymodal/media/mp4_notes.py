"""Notes in MP4: an item beside the encoder's own, and XMP in a box behind all others."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from anymodal.media.note import FileNote

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_ITEMS = (b"moov", b"udta", b"meta", b"ilst")
_META_HEAD = 4  # version and flags, before the boxes in it
_UTF_8 = 1


def write_mp4_note(data: bytes, note: FileNote) -> bytes:
    """Source: XMP part 3, 1.3.2, and QuickTime's list of items, which FFmpeg writes too.

    The item goes where a list of items is and nothing behind it has its place written down: the
    index stands behind the frames.
    """
    behind = struct.pack(">I4s", 24 + len(note.xmp), b"uuid") + _XMP + note.xmp
    return _with_item(data, note.text) + behind


def _with_item(data: bytes, text: str) -> bytes:
    path = _path(data)
    order = [kind for kind, _, _ in _boxes(data, 0, len(data))]
    if path is None or b"mdat" in order[order.index(b"moov") :]:
        return data
    value = text.encode()
    content = struct.pack(">I4sII", 16 + len(value), b"data", _UTF_8, 0) + value
    item = struct.pack(">I4s", 8 + len(content), b"\xa9cmt") + content
    end = path[-1][1]
    changed = bytearray(data[:end] + item + data[end:])
    for start, _ in path:  # each box that holds it has grown
        size = int.from_bytes(changed[start : start + 4], "big") + len(item)
        changed[start : start + 4] = struct.pack(">I", size)
    return bytes(changed)


def _path(data: bytes) -> list[tuple[int, int]] | None:
    """Find the first and last byte of the boxes with the items; None if there are none."""
    path, start, end = list[tuple[int, int]](), 0, len(data)
    for name in _ITEMS:
        place = next(((at, to) for kind, at, to in _boxes(data, start, end) if kind == name), None)
        if place is None:
            return None
        path.append(place)
        start, end = place[0] + 8 + (_META_HEAD if name == b"meta" else 0), place[1]
    return path


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, beginning and end of boxes of plain sizes."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield kind, at, at + size
        at += size
