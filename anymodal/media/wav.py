"""WAV and W64 as programs write it: streams without a length, RF64, and chunks of every kind."""

from __future__ import annotations

import struct
from typing import NamedTuple

from anymodal.media.chunks import is_chunk_name, is_placeholder, riff_chunks
from anymodal.media.formats import WAV, Format
from anymodal.media.limits import Limits
from anymodal.media.source import Blob
from anymodal.media.spans import Spans, cut_short

_LONGEST = 4096  # bytes of a format's description
_UNKNOWN = 0xFFFFFFFF  # a size that stands in the ds64 chunk (EBU Tech 3306), or nowhere


class _Chunks(NamedTuple):
    chunks: dict[bytes, bytes]  # fmt and fact, which tell how to read the data
    start: int
    size: int  # of the data as the header tells
    is_stream: bool


def wav_file(blob: Blob, fmt: Format, limits: Limits) -> Spans:
    """A WAV's or W64's format and sound alone under a new header with their true sizes.

    A size that no program knows better (0, 2 or 4 GiB and a little less) is a stream's, which
    reaches to the end; any other must be there.

    Raises:
        ValueError: if it is cut short, or lasts longer than the limits allow.
    """
    chunks_in = _find(blob) if fmt is WAV else _find_long(blob)
    if chunks_in is None or b"fmt " not in chunks_in.chunks:
        return Spans([blob.data], blob.budget)
    num_bytes = len(blob.data) - chunks_in.start
    description = chunks_in.chunks[b"fmt "].ljust(16, b"\0")
    bytes_per_second, block = struct.unpack_from("<IH", description, 8)
    size = num_bytes - num_bytes % max(1, block) if chunks_in.is_stream else chunks_in.size
    if bytes_per_second:
        limits.check_seconds(blob.name, size / bytes_per_second)
    if size > num_bytes:
        raise cut_short(blob.name, f"{num_bytes:,} of {size:,} bytes of sound")
    chunks = b"".join(
        name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for name, body in chunks_in.chunks.items()
        if not (chunks_in.is_stream and name == b"fact")  # its length is a guess as well
    )
    head = b"WAVE" + chunks + b"data" + struct.pack("<I", size)
    head = b"RIFF" + struct.pack("<I", len(head) + size) + head
    return Spans(
        [head, memoryview(blob.data)[chunks_in.start : chunks_in.start + size]], blob.budget
    )


def _find(blob: Blob) -> _Chunks | None:
    chunks, long = dict[bytes, bytes](), None
    for name, start, size in riff_chunks(blob):
        if name in (b"fmt ", b"fact"):
            chunks.setdefault(name, blob.data[start : start + min(size, _LONGEST)])
        elif name == b"ds64":  # the sizes of the file and of its data
            long = int.from_bytes(blob.data[start + 8 : start + 16], "little")
        elif name == b"data":
            if size == _UNKNOWN and long is not None:
                is_stream = long == 0 or long > 2**62
                return _Chunks(chunks, start, long, is_stream)
            return _Chunks(chunks, start, size, _is_stream(blob, start, size))
    return None


def _find_long(blob: Blob) -> _Chunks | None:
    """The chunks of a W64, whose names have 16 bytes and whose sizes have 8 and count both."""
    data, at, chunks = blob.data, 40, dict[bytes, bytes]()
    while at + 24 <= len(data):
        # Names are GUIDs whose first four bytes are RIFF's names.
        name, size = data[at : at + 4], int.from_bytes(data[at + 16 : at + 24], "little")
        start = at + 24
        if name == b"data":
            is_stream = size <= 24 or size > 2**62 or is_placeholder(size)
            return _Chunks(chunks, start, size - 24, is_stream)
        if size < 24:
            return None
        if name in (b"fmt ", b"fact"):
            chunks.setdefault(name, data[start : min(at + size, start + _LONGEST)])
        at += size + -size % 8  # chunks begin at multiples of eight
    return None


def _is_stream(blob: Blob, start: int, size: int) -> bool:
    if size:
        return is_placeholder(size)
    behind = blob.data[start : start + 8]
    if len(behind) < 8 or not is_chunk_name(behind[:4]):
        return bool(behind)
    # Else an empty recording with chunks behind it, if the next one has its place.
    return start + 8 + int.from_bytes(behind[4:], "little") > len(blob.data)
