"""Frames of clips out of files: limits first, then thinned in time while they are decoded."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

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
from anymodal.media.formats import BROADCAST, Format
from anymodal.media.limits import Limits, MediaError
from anymodal.media.pixels import Alpha, Pixels, displayed, pixel_aspect
from anymodal.media.source import Blob

_LEAST_SIDE = 224  # pixels: what a clip is scaled down to at most; encoders look no closer
_LEAST_FRAMES = 32  # what a clip is thinned down to at most
_JITTER = 0.0015  # seconds by which containers round a frame's time

_log = logging.getLogger("anymodal")


def read_clip(blob: Blob, fmt: Format, limits: Limits) -> tuple[NDArray[np.uint8], float]:
    """The frames of a blob at a constant rate, and that rate.

    Shapes: frames (T, H, W, 3).

    Raises:
        ValueError: if it is damaged, cut short, over a limit, or holds no frames.
    """
    with open_container(blob, fmt, limits) as container:
        stream = moving_stream(container)
        seconds = 0.0 if fmt.estimates else header_seconds(container, stream)
        count = stream.frames or seconds * float(stream.average_rate or 0)
    if not count:
        count, seconds = _counted(blob, fmt, limits)
    with open_container(blob, fmt, limits) as container:
        stream = moving_stream(container)
        rate = float(stream.average_rate or 0)
        clip = _Clip(blob, limits, _shape(blob, fmt, limits, stream), max(1, count), seconds)
        for time, end, picture in _pictures(blob, fmt, limits, container, stream, clip):
            clip.take(time, end, picture)
    return clip.constant(rate)


def _counted(blob: Blob, fmt: Format, limits: Limits) -> tuple[int, float]:
    """Frames and seconds of a stream whose header tells nothing, by its packets."""
    times = list[int]()
    with open_container(blob, fmt, limits) as container:
        stream = moving_stream(container)
        for count, packet in enumerate(packets(blob, container, stream)):
            limits.check_frames(blob.name, count)
            if packet.size and packet.pts is not None:
                times.append(packet.pts)
        base = float(stream.time_base or 0)
    return count, (max(times) - min(times)) * base if times else 0.0


def _shape(blob: Blob, fmt: Format, limits: Limits, stream: Any) -> tuple[int, int]:
    """Height and width of frames as they are shown, before they are turned upright."""
    height, width = stream.codec_context.height, stream.codec_context.width
    most = frame_pixels(limits)
    if 0 in (height, width):  # FFmpeg found no frame, or none of so few pixels
        raise MediaError(
            f"{blob.name} has no frames, or frames over the limit of {most:,} pixels; "
            "export it again, scale it down, or pass limits=Limits(max_pixels=..., "
            "max_decoded_bytes=...)"
        )
    limits.check_pixels(blob.name, width, height)
    if width * height > most:
        raise MediaError(
            f"{blob.name} has frames of {width}×{height} = {width * height:,} pixels, over the "
            f"limit of {most:,} for a clip; scale it down, or pass "
            "limits=Limits(max_decoded_bytes=...), of which that is a 28th"
        )
    shape = displayed(height, width, pixel_aspect(blob, fmt, stream))
    limits.check_pixels(blob.name, shape[1], shape[0])
    return shape


def _pictures(
    blob: Blob, fmt: Format, limits: Limits, container: Any, stream: Any, clip: _Clip
) -> Iterator[tuple[float, float, NDArray[np.uint8]]]:
    """When frames begin and end, and their pixels upright, of those that the clip wants."""
    pixels, alpha = Pixels(*clip.shape), Alpha.of(stream, limits)
    ends, offset, count = 0.0, 0.0, 0
    for packet in packets(blob, container, stream):
        found = decoded(blob, fmt, packet, count > 0)
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

    def __init__(
        self, blob: Blob, limits: Limits, shape: tuple[int, int], count: float, seconds: float
    ) -> None:
        self.blob, self.limits = blob, limits
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
        return time >= self._next - _JITTER or not self.step or not self.times

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
        if self.times and not self.wanted(time):
            return
        self.times.append(time)
        self._decoded += picture.tobytes()
        self._plan(time)

    def wanted(self, time: float) -> bool:
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
            if kept and not self.wanted(time):
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
