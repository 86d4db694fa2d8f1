"""Frames of clips out of files: limits first, then thinned in time while they are decoded."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anymodal.media.containers import (
    decode_packet,
    frame_pixels,
    header_seconds,
    moving_stream,
    open_container,
    packets,
)
from anymodal.media.formats import BROADCAST, HEADLESS, Format
from anymodal.media.frame_pixels import Alpha, FramePixels, pixel_aspect, square_pixel_size
from anymodal.media.limits import LimitError, Limits, MediaError, allow_more, mib
from anymodal.media.source import Blob

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

_LEAST_SIDE = 224  # pixels: what a clip is scaled down to at most; encoders look no closer
_LEAST_FRAMES = 32  # what a clip is thinned down to at most
_BUFFERED_FRAMES = 17  # frames that a decoder keeps at most
_MIN_BUFFER_BYTES = 2**26  # what those may always take, whatever the limits

_log = logging.getLogger("anymodal")


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
    blob: Blob, fmt: Format, limits: Limits, container: InputContainer, header: _ClipHeader
) -> tuple[NDArray[np.uint8], float]:
    """The frames of a container that is at its beginning."""
    stream = moving_stream(container)
    assert stream is not None, "a clip has pictures"
    rate = float(stream.average_rate or 0)
    clip = _Clip(blob, limits, _shape(blob, limits, header), header)
    for timed_frame in _timed_frames(blob, fmt, limits, container, stream):
        clip.take(timed_frame)
    return clip.constant(rate)


class _ClipHeader(NamedTuple):
    """Size, length and shape of a clip, from its header or its packets."""

    height: int
    width: int
    aspect: float  # of a pixel
    frames: float
    seconds: float


def _read_header(
    blob: Blob, fmt: Format, limits: Limits, container: InputContainer, stream: VideoStream
) -> tuple[_ClipHeader, bool]:
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
        return _ClipHeader(*size, aspect, stream.frames, seconds), False
    by_packets = _count_packets(blob, fmt, limits, container, stream)
    estimate = seconds * float(stream.average_rate or 0)
    if abs(by_packets.seconds - seconds) > 0.02 * seconds:  # the header tells nothing, or wrong
        seconds = by_packets.seconds
    frames = max(1, estimate, by_packets.frames)
    return by_packets._replace(frames=frames, seconds=seconds), True


def _count_packets(
    blob: Blob, fmt: Format, limits: Limits, container: InputContainer, stream: VideoStream
) -> _ClipHeader:
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
    return _ClipHeader(*(first or size), aspect, count, seconds * count / max(1, count - 1))


def _shape(blob: Blob, limits: Limits, header: _ClipHeader) -> tuple[int, int]:
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


class _TimedFrame(NamedTuple):
    """A decoded frame, when it begins and ends, and its opacity where that is decoded apart."""

    frame: VideoFrame
    begin: float
    end: float
    opacity: NDArray[np.uint8] | None


def _timed_frames(
    blob: Blob, fmt: Format, limits: Limits, container: InputContainer, stream: VideoStream
) -> Iterator[_TimedFrame]:
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
            yield _TimedFrame(frame, begin, ends, opacity)


class _Clip:
    """Frames as they are decoded: all of them, or those to be seen at even steps of time."""

    def __init__(
        self, blob: Blob, limits: Limits, shape: tuple[int, int], header: _ClipHeader
    ) -> None:
        self.blob, self.limits = blob, limits
        count, seconds = header.frames, header.seconds
        scale = _fit_scale(limits, count, shape)
        height, width = _scale_side(shape[0], scale), _scale_side(shape[1], scale)
        limits.check_pixels(blob.name, width, height)
        limits.check_seconds(blob.name, seconds)
        limits.check_frames(blob.name, count)
        self.pixels = FramePixels(height, width)
        self.room = limits.max_decoded_bytes // (3 * height * width)
        self.step, self.half = 0.0, 0.0  # of time; half of what a frame stays on the average
        if count > self.room:
            if self.room < _LEAST_FRAMES or seconds <= 0:
                self._check_room(count)
            self.step = math.ceil(count / self.room) * seconds / count
            self.half = seconds / count / 2
        self.times, self.num_frames, self.ticks = list[float](), 0, 0
        self._last: _TimedFrame | None = None
        self._first = 0.0
        self._expected = math.ceil(min(count, self.room))
        # Large arrays of NumPy lie in huge pages; bytes that grow take five times as long to fill.
        self._frames: NDArray[np.uint8] | None = None

    def _check_room(self, count: float) -> None:
        height, width = self.pixels.height, self.pixels.width
        what = f"{count:,.0f} frames of {width}×{height}"
        self.limits.check_decoded(self.blob.name, 3 * height * width * count, what)

    def take(self, timed_frame: _TimedFrame) -> None:
        """Keep a frame, or where they are too many, the last one for all steps before this."""
        if self._last is None:
            self._first = timed_frame.begin
        self.num_frames += 1
        self.limits.check_seconds(self.blob.name, timed_frame.end - self._first)
        if not self.step:
            self._keep(timed_frame, 1)
        elif self._last is not None:
            self._keep(self._last, self._due(timed_frame.begin))
        self._last = timed_frame

    def _due(self, until: float) -> int:
        """The number of steps that begin before a time and have no frame yet."""
        steps = math.ceil((until - self._first - self.half) / self.step)
        return max(0, steps - self.ticks)

    def _keep(self, timed_frame: _TimedFrame, count: int) -> None:
        if not count:
            return
        self.ticks += count
        self._check_room(self.ticks)
        picture = self.pixels.upright(timed_frame.frame, timed_frame.opacity)
        if self._frames is not None and self._frames.shape[1:] != picture.shape:
            raise MediaError(
                f"{self.blob.name} turns its frames half way; convert it to one direction"
            )
        self.times.append(timed_frame.begin)
        self._room_for(picture.shape)[self.ticks - count : self.ticks] = picture

    def _room_for(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """The array of frames, with room for all ticks so far: a header may count too few."""
        frames = self._frames
        if frames is None or len(frames) < self.ticks:
            size = max(self.ticks, self._expected if frames is None else 2 * len(frames))
            self._frames = np.empty((size, *shape), np.uint8)
            if frames is not None:
                self._frames[: len(frames)] = frames
            return self._frames
        return frames

    def constant(self, rate: float) -> tuple[NDArray[np.uint8], float]:
        """All frames at a constant rate, which the header gives where none was left out."""
        if self._last is None:
            raise MediaError(f"{self.blob.name} holds no frames; record or export it again")
        if self.step:
            end = max(self._last.end, self._last.begin + 2 * self.half)
            self._keep(self._last, max(self._due(end), 0 if self.ticks else 1))
            fps = 1 / self.step
            _log.info(
                "%s has %d frames, thinned to %d at %.3g a second, for max_decoded_bytes",
                self.blob.name, self.num_frames, self.ticks, fps,
            )  # fmt: skip
            return self._array(), fps
        most = self.room if self.room >= _LEAST_FRAMES else 0
        index, fps = constant_rate([*self.times, self._last.end], rate, most)
        if index is None:
            return self._array(), fps
        self.limits.check_seconds(self.blob.name, len(index) / fps)
        self.limits.check_frames(self.blob.name, len(index))
        self._check_room(len(index))
        return self._array()[index], fps

    def _array(self) -> NDArray[np.uint8]:
        assert self._frames is not None, "a frame was kept"
        return self._frames[: self.ticks]


def _fit_scale(limits: Limits, count: float, shape: tuple[int, int]) -> float:
    """The factor on both sides of so many frames that fits them into the decoded bytes."""
    scale = math.sqrt(limits.max_decoded_bytes / (3 * (count + 1) * shape[0] * shape[1]))
    return min(1.0, max(scale, _LEAST_SIDE / min(shape)))


def _scale_side(side: int, scale: float) -> int:
    return max(1, int(side * scale))


def constant_rate(
    times: list[float], rate: float, most: int = 0
) -> tuple[NDArray[np.int64] | None, float]:
    """The frame's index for each step of a constant rate (None: each once), and that rate.

    `times` are the frames' beginnings and the end of the last one. A clip is constant if no
    frame is off its place by more than two milliseconds at the header's rate, or by half a step
    at the mean rate: WebM rounds to milliseconds, GIF to hundredths of a second. Else the step is
    the median one, or as much longer as `most` steps need to reach to the end.
    """
    starts = np.asarray(times[:-1]) - times[0]
    count = len(starts)
    mean = (count - 1) / starts[-1] if starts[-1] > 0 else 0.0
    for fps, off in ((rate, 0.002), (mean, 0.5 / mean if mean else 0.0)):
        if fps > 0 and np.abs(starts - np.arange(count) / fps).max() <= off:
            return None, fps
    steps = np.diff(starts)
    steps = steps[steps > 0]
    if not len(steps):
        return None, rate or 1.0
    step = float(np.median(steps))
    end = max(times[-1] - times[0], float(starts[-1]) + step)
    if most:
        step = max(step, end / most)
    # A thousandth of a step late, so that rounding takes no frame for the one before it.
    ticks = (np.arange(round(end / step)) + 1e-3) * step
    return np.searchsorted(np.sort(starts), ticks, side="right") - 1, 1 / step
