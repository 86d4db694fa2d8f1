"""Frames of clips out of files: limits first, then thinned in time while they are decoded."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anymodal.media.containers import (
    decoded,
    frame_pixels,
    header_seconds,
    moving_stream,
    open_container,
    packets,
)
from anymodal.media.formats import BROADCAST, HEADLESS, Format
from anymodal.media.limits import Limits, MediaError, mib
from anymodal.media.pixels import Alpha, Pixels, displayed, pixel_aspect
from anymodal.media.source import Blob

_LEAST_SIDE = 224  # pixels: what a clip is scaled down to at most; encoders look no closer
_LEAST_FRAMES = 32  # what a clip is thinned down to at most
_JITTER = 0.0015  # seconds by which containers round a frame's time
_KEPT, _LEAST_KEPT = 17, 2**26  # frames of a decoder at most, and bytes that they always may take

_log = logging.getLogger("anymodal")


def read_clip(blob: Blob, fmt: Format, limits: Limits) -> tuple[NDArray[np.uint8], float]:
    """The frames of a blob at a constant rate, and that rate.

    Shapes: frames (T, H, W, 3).

    Raises:
        ValueError: if it is damaged, cut short, over a limit, or holds no frames.
    """
    found = _told(blob, fmt, limits)
    with open_container(blob, fmt, limits) as container:
        stream = moving_stream(container)
        rate = float(stream.average_rate or 0)
        clip = _Clip(blob, limits, _shape(blob, fmt, limits, stream, found), found)
        for time, end, picture in _pictures(blob, fmt, limits, container, stream, clip):
            clip.take(time, end, picture)
    return clip.constant(rate)


class _Told(NamedTuple):
    """What is known of a clip before its frames are decoded."""

    height: int
    width: int
    frames: float
    seconds: float


def _told(blob: Blob, fmt: Format, limits: Limits) -> _Told:
    """What the header tells, or else the packets and a first frame."""
    with open_container(blob, fmt, limits) as container:
        stream = moving_stream(container)
        height, width = stream.codec_context.height, stream.codec_context.width
        if height and width:
            limits.check_pixels(blob.name, width, height)
        seconds = 0.0 if fmt.estimates else header_seconds(container, stream)
        count = stream.frames or seconds * float(stream.average_rate or 0)
        if not (height and width and count):
            height, width, count, seconds = _counted(blob, fmt, limits, container, stream)
    return _Told(height, width, max(1, count), seconds)


def _counted(blob: Blob, fmt: Format, limits: Limits, container: Any, stream: Any) -> _Told:
    """What a stream's packets tell, of which one frame is decoded."""
    from av.error import FFmpegError

    times, size, count = list[int](), (stream.codec_context.height, stream.codec_context.width), 0
    for packet in packets(blob, container, stream):
        if fmt in HEADLESS and not all(size):  # else FFmpeg has tried that
            with contextlib.suppress(FFmpegError):
                size = next(((f.height, f.width) for f in packet.decode()), size)
        if packet.size:
            count += 1
            limits.check_frames(blob.name, count)
            times += [] if packet.pts is None else [packet.pts]
    lasted = (max(times) - min(times)) * float(stream.time_base or 0) if times else 0.0
    return _Told(*size, count, lasted)


def _shape(blob: Blob, fmt: Format, limits: Limits, stream: Any, told: _Told) -> tuple[int, int]:
    """Height and width of frames as they are shown, before they are turned upright."""
    most, (height, width, _, _) = frame_pixels(limits), told
    if 0 in (height, width):  # FFmpeg found no frame, or none of so few pixels
        raise MediaError(
            f"{blob.name} has no frames, or frames over the limit of {most:,} pixels; "
            "export it again, scale it down, or pass limits=Limits(max_pixels=..., "
            "max_decoded_bytes=...)"
        )
    if width * height > most:
        raise _too_large(blob, width, height, f"{most:,} pixels")
    shape = displayed(height, width, pixel_aspect(blob, fmt, stream))
    limits.check_pixels(blob.name, shape[1], shape[0])
    return shape


def _too_large(blob: Blob, width: int, height: int, most: str) -> MediaError:
    return MediaError(
        f"{blob.name} has frames of {width}×{height}, over the limit of {most} for a clip, of "
        "which a decoder keeps many; scale it down, or pass limits=Limits(max_decoded_bytes=...)"
    )


def _check_kept(blob: Blob, limits: Limits, stream: Any, frame: Any) -> None:
    """Refuse frames of which a decoder may keep more than the memory there is for them."""
    size = frame.width * frame.height * frame.format.padded_bits_per_pixel / 8
    most = 2 * max(limits.max_decoded_bytes, _LEAST_KEPT)
    if _KEPT * size > most and not stream.codec_context.codec.intra_only:
        raise _too_large(blob, frame.width, frame.height, mib(most / _KEPT))


def _pictures(
    blob: Blob, fmt: Format, limits: Limits, container: Any, stream: Any, clip: _Clip
) -> Iterator[tuple[float, float, NDArray[np.uint8]]]:
    """When frames begin and end, and their pixels upright, of those that the clip wants."""
    pixels, alpha = Pixels(*clip.shape), Alpha.of(stream, limits)
    ends, offset, count, checked = 0.0, 0.0, 0, ""
    for packet in packets(blob, container, stream):
        found = decoded(blob, fmt, packet, count > 0)
        for frame in found:
            if frame.format.name != checked:
                _check_kept(blob, limits, stream, frame)
                checked = frame.format.name
        for frame, opacity in zip(found, alpha.of_packet(packet, len(found)), strict=True):
            count += 1
            limits.check_frames(blob.name, count)
            time = ends if frame.time is None else frame.time + offset
            if time < ends and count > 1 and fmt in BROADCAST:  # the clock starts anew
                offset += ends - time
                time = ends
            ends = time + float((frame.duration or 0) * (frame.time_base or 0))
            if clip.wants(time, ends):
                yield time, ends, pixels.upright(frame, opacity)


class _Clip:
    """Frames as they are decoded; where they outgrow the limit, evenly fewer of them are kept."""

    def __init__(self, blob: Blob, limits: Limits, shape: tuple[int, int], told: _Told) -> None:
        self.blob, self.limits = blob, limits
        _, _, count, seconds = told
        scale = _fitting(limits, count, shape)
        self.shape = (_scaled(shape[0], scale), _scaled(shape[1], scale))
        limits.check_pixels(blob.name, self.shape[1], self.shape[0])
        limits.check_seconds(blob.name, seconds)
        limits.check_frames(blob.name, count)
        self.room = limits.max_decoded_bytes // (3 * self.shape[0] * self.shape[1])
        self.seen, self.first, self.end = 0, 0.0, 0.0
        self.step, self._next = 0.0, 0.0
        self.times = list[float]()
        self._decoded = bytearray()
        self._upright: tuple[int, int, int] | None = None
        if count > self.room:
            self._check_room(count)
            self.step = math.ceil(count / self.room) * seconds / count

    def _check_room(self, count: float) -> None:
        """Refuse a clip that would be thinned down too far."""
        if self.room < _LEAST_FRAMES:
            height, width = self.shape
            what = f"{count:,.0f} frames of {width}×{height}"
            self.limits.check_decoded(self.blob.name, 3 * height * width * count, what)

    def wants(self, time: float, end: float) -> bool:
        """Whether a frame is kept; it is counted in any case."""
        if not self.seen:
            self.first = time
        self.seen += 1
        self.end = end
        self.limits.check_seconds(self.blob.name, end - self.first)
        return not self.times or self._due(time)

    def take(self, time: float, end: float, picture: NDArray[np.uint8]) -> None:
        """Keep a frame."""
        shape = (picture.shape[0], picture.shape[1], 3)
        if self._upright not in (None, shape):
            raise MediaError(
                f"{self.blob.name} turns its frames half way; convert it to one direction"
            )
        self._upright = shape
        if len(self.times) >= self.room:
            self._thin()
        if not self._due(time):
            return
        self.times.append(time)
        self._decoded += picture.tobytes()
        self._plan(time)

    def _due(self, time: float) -> bool:
        """Whether a time has reached the next step."""
        return not self.step or time >= self._next - _JITTER

    def _plan(self, time: float) -> None:
        """Look for the next frame one step on, on the grid that begins with the first one."""
        if self.step:
            passed = math.floor((time - self.first + _JITTER) / self.step) + 1
            self._next = self.first + passed * self.step

    def _thin(self) -> None:
        """Keep half of the frames, or fewer: those on a grid of twice the step."""
        self._check_room(len(self.times) + 1)
        lasted = self.times[-1] - self.times[0]
        size, before = len(self._decoded) // len(self.times), len(self.times)
        if lasted <= 0:
            what = f"{before + 1:,} frames at one time"
            self.limits.check_decoded(self.blob.name, size * (before + 1), what)
        self.step = 2 * max(self.step, lasted / (before - 1))
        self._next, kept = self.first, list[float]()
        for index, time in enumerate(self.times):
            if kept and not self._due(time):
                continue
            place = len(kept) * size
            self._decoded[place : place + size] = self._decoded[index * size : (index + 1) * size]
            kept.append(time)
            self._plan(time)
        del self._decoded[len(kept) * size :]
        self.times = kept

    def constant(self, rate: float) -> tuple[NDArray[np.uint8], float]:
        """All frames at a constant rate, which the header gives where none was left out."""
        if self._upright is None:
            raise MediaError(f"{self.blob.name} holds no frames; record or export it again")
        frames = np.frombuffer(self._decoded, np.uint8).reshape(-1, *self._upright)
        most = self.room if self.room >= _LEAST_FRAMES else 0
        index, fps = constant_rate([*self.times, self.end], 0 if self.step else rate, most)
        count = len(frames) if index is None else len(index)
        self.limits.check_seconds(self.blob.name, count / fps)
        self.limits.check_frames(self.blob.name, count)
        self.limits.check_decoded(self.blob.name, frames[0].nbytes * count, f"{count:,} frames")
        if self.step:
            _log.info(
                "%s has %d frames, thinned to %d at %.3g a second, for max_decoded_bytes",
                self.blob.name, self.seen, count, fps,
            )  # fmt: skip
        return (frames if index is None else frames[index]), fps


def _fitting(limits: Limits, count: float, shape: tuple[int, int]) -> float:
    """The factor on both sides of so many frames that fits them into the decoded bytes."""
    fit = math.sqrt(limits.max_decoded_bytes / (3 * (count + 1) * shape[0] * shape[1]))
    return min(1.0, max(fit, _LEAST_SIDE / min(shape)))


def _scaled(side: int, scale: float) -> int:
    return max(1, int(side * scale))


def constant_rate(
    times: list[float], rate: float, most: int = 0
) -> tuple[NDArray[np.int64] | None, float]:
    """Which frame to show at each step of a constant rate (None: each once), and that rate.

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
    ticks = (np.arange(round(end / step)) + 1e-3) * step
    return np.searchsorted(np.sort(starts), ticks, side="right") - 1, 1 / step
