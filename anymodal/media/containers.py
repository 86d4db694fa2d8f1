"""Files of frames and samples read with PyAV, and what a blob of any format can be loaded as."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from anymodal.media.gif import gif_start
from anymodal.media.imu_header import find_header
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.source import AVI, GIF, MP4, TEXT, WEBM, Blob, Format

if TYPE_CHECKING:
    from av.container import InputContainer

_GROUPS: dict[str, tuple[str, ...]] = {
    "picture": ("image", "depth", "thermal", "normal"),
    "sound": ("audio",),
    "table": ("imu",),
    "cloud": ("points",),
    "array": ("imu", "depth", "normal", "points"),
}
TOLD = frozenset({"video"}.union(*_GROUPS.values()))
"""The kinds that a file's content tells of; what holds others, their own classes know."""


def contents(blob: Blob, fmt: Format, limits: Limits) -> tuple[str, ...]:
    """The kinds of media that a blob can be loaded as, the most natural one first.

    Raises:
        ValueError: if it is cut short, damaged, or holds neither pictures nor sound; `NoTable`
            if it is a text of anything else than readings.
    """
    if fmt is TEXT:
        find_header(blob)
    if fmt.group in _GROUPS:
        return _GROUPS[fmt.group]
    if fmt.group == "gif":
        moving = gif_start(blob).pictures > 1
        return ("video",) if moving else (*_GROUPS["picture"], "video")
    with open_container(blob, fmt, limits) as container:
        found = {"video": moving_stream(container), "audio": sound_stream(container)}
    kinds = tuple(kind for kind, stream in found.items() if stream is not None)
    if not kinds:
        raise MediaError(f"{blob.name} is {fmt.label} without any picture or sound; record it anew")
    return kinds


@contextmanager
def open_container(blob: Blob, fmt: Format, limits: Limits) -> Iterator[InputContainer]:
    """Open bytes with PyAV: one named demuxer, no network, no file beside it.

    Raises:
        ValueError: if the file is cut short, or anything within fails.
    """
    import av

    _check_complete(blob, fmt)
    options = {"protocol_whitelist": "file", "max_pixels": str(limits.max_pixels)}
    with (
        decoding(blob.name, fmt.label),
        av.open(
            BytesIO(blob.data), "r", format=fmt.demuxer, options=options, metadata_errors="ignore"
        ) as container,
    ):
        for stream in (*container.streams.video, *container.streams.audio):
            if stream.codec_context is not None:
                stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
        yield container


def moving_stream(container: InputContainer) -> Any:
    """The first stream of pictures that is no cover art, or None."""
    from av.stream import Disposition

    streams = container.streams.video
    return next((s for s in streams if not s.disposition & Disposition.attached_pic), None)


def sound_stream(container: InputContainer) -> Any:
    """The first stream of sound, or None."""
    return next(iter(container.streams.audio), None)


def header_seconds(container: InputContainer, stream: Any) -> float:
    """How long the header says that a stream lasts; 0 where it says nothing."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def _check_complete(blob: Blob, fmt: Format) -> None:
    """Refuse a file that ends before its own structure does; FFmpeg would play what is left."""
    needed = 0
    if fmt is MP4:
        needed = _mp4_end(blob.data)
    elif fmt is WEBM:
        needed = _matroska_end(blob.data)
    elif fmt is AVI:
        needed = 8 + int.from_bytes(blob.data[4:8], "little")
    elif fmt is GIF and not blob.data.rstrip(b"\0").endswith(b";"):
        needed = len(blob.data) + 1
    if needed > len(blob.data):
        raise MediaError(
            f"{blob.name} is cut short: it has {len(blob.data):,} of at least {needed:,} bytes; "
            "save or download it again"
        )


def _mp4_end(data: bytes) -> int:
    """Where the last box ends (ISO/IEC 14496-12, section 4.2); size 0 reaches to the end."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1 and at + 16 <= len(data):
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:
            return 0
        at += size
    return at


def _matroska_end(data: bytes) -> int:
    """Where the segment ends (RFC 8794, sections 4 and 6); 0 for a live stream of unknown size."""
    at = 4
    for _ in range(2):  # the EBML header, then the segment
        if at >= len(data):
            return at + 1
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


def riff_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk of a RIFF file: its name, where its content starts, and the size it claims."""
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, at + 8, size
        at += 8 + size + size % 2
