"""Frames of clips out of files: their header and limits first, then one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymodal.media.clip_frames import ClipFrames, ClipHeader, TimedFrame
from anymodal.media.containers import (
    decode_packet,
    frame_pixels,
    header_seconds,
    moving_stream,
    open_container,
    packets,
)
from anymodal.media.formats import BROADCAST, HEADLESS, Format
from anymodal.media.frame_pixels import Alpha, pixel_aspect, square_pixel_size
from anymodal.media.limits import LimitError, Limits, allow_more, mib
from anymodal.media.source import Blob

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

_BUFFERED_FRAMES = 17  # frames that a decoder keeps at most
_MIN_BUFFER_BYTES = 2**26  # what those may always take, whatever the limits


def read_clip(blob: Blob, fmt: Format, limits: Limits) -> tuple[NDArray[np.uint8], float]:
    """The frames of a blob at a constant rate, and that rate.

    Shapes: frames (T, H, W, 3).

    Raises:
        ValueError: if it is damaged, cut short, over a limit, or holds no frames.
    """
    with open_container(blob, fmt, limits) as container:
        stream = moving_stream(container)
        assert stream is not None, "a clip has pictures"
        header, is_read_through = _read_header(blob, fmt, limits, container, stream)
        if not is_read_through:  # opening decodes a first frame, which takes a while
            return _decode(blob, fmt, limits, container, header)
    with open_container(blob, fmt, limits) as container:
        return _decode(blob, fmt, limits, container, header)


def _decode(
    blob: Blob, fmt: Format, limits: Limits, container: InputContainer, header: ClipHeader
) -> tuple[NDArray[np.uint8], float]:
    """The frames of a container that is at its beginning."""
    stream = moving_stream(container)
    assert stream is not None, "a clip has pictures"
    rate = float(stream.average_rate or 0)
    clip = ClipFrames(blob, limits, _shape(blob, limits, header), header)
    for timed_frame in _timed_frames(blob, fmt, limits, container, stream):
        clip.take(timed_frame)
    return clip.constant(rate)


def _read_header(
    blob: Blob, fmt: Format, limits: Limits, container: InputContainer, stream: VideoStream
) -> tuple[ClipHeader, bool]:
    """Read the header, and where it doesn't count the frames, all packets: then True."""
    size = (stream.codec_context.height, stream.codec_context.width)
    if all(size):
        limits.check_pixels(blob.name, size[1], size[0])
    seconds = 0.0 if fmt.estimates else header_seconds(container, stream)
    # No frame takes less than a byte.
    if stream.frames > len(blob.data):  # what is written where nobody knows it yet
        seconds = 0.0
    limits.check_seconds(blob.name, seconds)
    if 0 < stream.frames <= len(blob.data):
        aspect = pixel_aspect(blob, fmt, stream)
        return ClipHeader(*size, aspect, stream.frames, seconds), False
    by_packets = _count_packets(blob, fmt, limits, container, stream)
    estimate = seconds * float(stream.average_rate or 0)
    if abs(by_packets.seconds - seconds) > 0.02 * seconds:  # the header tells nothing, or wrong
        seconds = by_packets.seconds
    frames = max(1, estimate, by_packets.frames)
    return by_packets._replace(frames=frames, seconds=seconds), True


def _count_packets(
    blob: Blob, fmt: Format, limits: Limits, container: InputContainer, stream: VideoStream
) -> ClipHeader:
    """Count packets, and decode a first frame where FFmpeg has not decoded one."""
    from av.error import FFmpegError

    times, size, count = list[int](), (stream.codec_context.height, stream.codec_context.width), 0
    first = None if fmt in HEADLESS else size
    for packet in packets(blob, container, stream):
        if first is None:
            with contextlib.suppress(FFmpegError):
                first = next(((f.height, f.width) for f in packet.decode()), None)
        if packet.size:
            count += 1
            limits.check_frames(blob.name, count)
            times += [] if packet.pts is None else [packet.pts]
    seconds = (max(times) - min(times)) * float(stream.time_base or 0) if times else 0.0
    aspect = pixel_aspect(blob, fmt, stream)
    return ClipHeader(*(first or size), aspect, count, seconds * count / max(1, count - 1))


def _shape(blob: Blob, limits: Limits, header: ClipHeader) -> tuple[int, int]:
    """Height and width of frames as they are shown, before they are turned upright."""
    most, height, width = frame_pixels(limits), header.height, header.width
    if 0 in (height, width):  # FFmpeg found no frame, or none of so few pixels
        raise LimitError(
            f"{blob.name} has no frames, or frames over the limit of {most:,} pixels; "
            "export it again, or scale it down",
            "pass limits=Limits(max_pixels=..., max_decoded_bytes=...)",
        )
    if width * height > most:
        raise _too_large(blob, width, height, f"{most:,} pixels")
    shape = square_pixel_size(height, width, header.aspect)
    limits.check_pixels(blob.name, shape[1], shape[0])
    return shape


def _too_large(blob: Blob, width: int, height: int, most: str) -> LimitError:
    return LimitError(
        f"{blob.name} has frames of {width}×{height}, over the limit of {most} for a clip, of "
        "which a decoder keeps many; scale it down",
        allow_more("max_decoded_bytes"),
    )


def _check_frame_buffer(blob: Blob, limits: Limits, stream: VideoStream, frame: VideoFrame) -> None:
    """Refuse frames of which a decoder may keep more than the memory there is for them."""
    size = frame.width * frame.height * frame.format.padded_bits_per_pixel / 8
    most = 2 * max(limits.max_decoded_bytes, _MIN_BUFFER_BYTES)
    if _BUFFERED_FRAMES * size > most and not stream.codec_context.codec.intra_only:
        raise _too_large(blob, frame.width, frame.height, mib(most / _BUFFERED_FRAMES))


def _timed_frames(
    blob: Blob, fmt: Format, limits: Limits, container: InputContainer, stream: VideoStream
) -> Iterator[TimedFrame]:
    alpha, format_name = Alpha.of(stream, limits), ""
    ends, offset, count = 0.0, 0.0, 0
    for packet in packets(blob, container, stream):
        frames = decode_packet(blob, fmt, packet, count > 0)
        for frame, opacity in zip(frames, alpha.of_packet(packet, len(frames)), strict=True):
            if frame.format.name != format_name:
                _check_frame_buffer(blob, limits, stream, frame)
                format_name = frame.format.name
            count += 1
            limits.check_frames(blob.name, count)
            begin = ends if frame.time is None else frame.time + offset
            if begin < ends and count > 1 and fmt in BROADCAST:  # the clock starts anew
                offset += ends - begin
                begin = ends
            ends = begin + float((frame.duration or 0) * (frame.time_base or 0))
            yield TimedFrame(frame, begin, ends, opacity)
