"""Frames of a clip as they are decoded: scaled, thinned in time, and brought to a constant rate."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anymodal.media.frame_pixels import FramePixels
from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import Blob

if TYPE_CHECKING:
    from av import VideoFrame

_LEAST_SIDE = 224  # pixels: what a clip is scaled down to at most; encoders look no closer
_LEAST_FRAMES = 32  # what a clip is thinned down to at most

_log = logging.getLogger("anymodal")


class ClipHeader(NamedTuple):
    """Size, length and shape of a clip, from its header or its packets."""

    height: int
    width: int
    aspect: float  # of a pixel
    frames: float
    seconds: float


class TimedFrame(NamedTuple):
    """A decoded frame, when it begins and ends, and its opacity where that is decoded apart."""

    frame: VideoFrame
    begin: float
    end: float
    opacity: NDArray[np.uint8] | None


class ClipFrames:
    """Frames as they are decoded: all of them, or those to be seen at even steps of time."""

    def __init__(
        self, blob: Blob, limits: Limits, shape: tuple[int, int], header: ClipHeader
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
        self._last: TimedFrame | None = None
        self._first = 0.0
        self._expected = math.ceil(min(count, self.room))
        # Large arrays of NumPy lie in huge pages; bytes that grow take five times as long to fill.
        self._frames: NDArray[np.uint8] | None = None

    def _check_room(self, count: float) -> None:
        height, width = self.pixels.height, self.pixels.width
        what = f"{count:,.0f} frames of {width}×{height}"
        self.limits.check_decoded(self.blob.name, 3 * height * width * count, what)

    def take(self, timed_frame: TimedFrame) -> None:
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

    def _keep(self, timed_frame: TimedFrame, count: int) -> None:
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
