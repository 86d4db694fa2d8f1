"""Formats made of chunks, or with their size in the header: are all bytes of the sound there?

Each function tells how many bytes there must be, 0 where nobody knows; FFmpeg and libsndfile would
play what is left of a file without a word.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from anymodal.media.formats import AIFF, ASF, AU, AVI, CAF, FLV, WEBM, Format
from anymodal.media.source import Blob
from anymodal.media.spans import cut_bytes

_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def chunked_end(blob: Blob, fmt: Format) -> int:
    """The end of a blob as a file of its format, as far as that tells.

    Raises:
        ValueError: if it ends before its own structure does.
    """
    find = _ENDS.get(fmt)
    size = find(blob) if find else 0
    if size > len(blob.data):
        raise cut_bytes(blob.name, len(blob.data), size)
    return size if size and fmt in (AVI, WEBM, FLV) else len(blob.data)


def is_placeholder(size: int) -> bool:
    """Return True for a 32-bit size that programs write before they know the length.

    They take 2 or 4 GiB, some less the header or rounded to whole blocks.
    """
    return 0x7FFFEF00 <= size <= 0x80000100 or size >= 0xFFFFEF00


def riff_chunks(blob: Blob, at: int = 12, order: str = "<") -> Iterator[tuple[bytes, int, int]]:
    """Each chunk of a RIFF or IFF file: name, where its content starts, and the size it claims."""
    data, count = blob.data, 0
    while at + 8 <= len(data):
        name, size = struct.unpack_from(f"{order}4sI", data, at)
        yield name, at + 8, size
        at += 8 + size
        if size % 2 and not is_chunk_name(data[at : at + 4]):  # else padding was forgotten
            at += 1
        count += 1
        if count % 4096 == 0:
            blob.budget.check()


def is_chunk_name(name: bytes) -> bool:
    """Return True if four bytes may name a chunk."""
    return len(name) == 4 and all(32 <= byte < 127 for byte in name) and name[0] > 32


def _avi_end(blob: Blob) -> int:
    """The end of the last RIFF of a chain of them (OpenDML)."""
    data, at, end = blob.data, 0, 0
    while data[at : at + 4] in (b"RIFF", b"RF64") and data[at + 8 : at + 11] == b"AVI":
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if size == 0 or is_placeholder(size):
            return 0
        end = at + 8 + size
        at = end + size % 2
    return end


def _aiff_end(blob: Blob) -> int:
    for name, start, size in riff_chunks(blob, order=">"):
        if name == b"SSND":
            return 0 if size <= 8 or is_placeholder(size) else start + size
    return 0


def _au_end(blob: Blob) -> int:
    # Offset and size of the data.
    start, size = struct.unpack_from(">II", blob.data.ljust(12, b"\0"), 4)
    return 0 if size == 0 or is_placeholder(size) else int(start + size)


def _caf_end(blob: Blob) -> int:
    data, at = blob.data, 8
    while at + 12 <= len(data):
        name, size = struct.unpack_from(">4sq", data, at)
        if size < 0:  # to the end
            return 0
        at += 12 + size
        if name == b"data":
            return int(at)
    return 0


def _flv_end(blob: Blob) -> int:
    """The end of the last tag, behind each of which stands its size once more."""
    data, count = blob.data, 0
    at = 4 + int.from_bytes(data[5:9], "big")
    while at + 11 <= len(data) and data[at] & 0x1F in (8, 9, 18):
        at += 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
        count += 1
        if count % 4096 == 0:
            blob.budget.check()
    if at < len(data) and data[at] in (8, 9, 18):
        return at + 11
    return at - 4  # the last size may be missing


def _asf_end(blob: Blob) -> int:
    """The file's size by its header, unless that says that it was broadcast."""
    at = blob.data.find(_FILE_PROPERTIES, 0, 65_536)
    fields = blob.data[at + 40 : at + 92]
    if at < 0 or len(fields) < 52:
        return 0
    # File Properties Object (ASF, section 3.2): bit 0 of the flags means broadcast.
    size, flags = int.from_bytes(fields[:8], "little"), fields[48]
    return 0 if flags & 1 else size


def _matroska_end(blob: Blob) -> int:
    """The end of the segment (RFC 8794, sections 4 and 6); 0 for a live stream of unknown size."""
    data, at = blob.data, 4
    for _ in range(2):  # the EBML header, then the segment
        if at >= len(data):
            return at + 1
        # Leading zeros tell a size's length; a size of ones alone is unknown.
        length = 9 - data[at].bit_length()
        if length > 8:
            return 0
        mask = (1 << 7 * length) - 1
        size = int.from_bytes(data[at : at + length], "big") & mask
        if size == mask:
            return 0
        at += length + size
        if data[at : at + 4] == b"\x18S\x80g":
            at += 4
    return at


_ENDS: dict[Format, Callable[[Blob], int]] = {
    WEBM: _matroska_end,
    AVI: _avi_end,
    AIFF: _aiff_end,
    AU: _au_end,
    CAF: _caf_end,
    FLV: _flv_end,
    ASF: _asf_end,
}
