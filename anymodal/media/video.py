"""Clips of frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from anymodal.media.base import Media, check_array, check_number, data_uri
from anymodal.media.containers import header_seconds, moving_stream, open_container
from anymodal.media.image import Image
from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import Blob, Format

_MIN_FPS, _MAX_FPS = 0.01, 1000
_LEAST_SIDE = 224  # pixels: what a clip is scaled down to at most; encoders look no closer
_BT601, _LIMITED_RANGE = 6, 1  # AVCOL_SPC_SMPTE170M and AVCOL_RANGE_MPEG


@dataclass(eq=False, repr=False)
class Video(Media):
    """A clip: frames at a constant rate, frame i shown from i / fps to (i + 1) / fps seconds.

    Shapes: frames (T, H, W, 3), uint8, sRGB. Units: fps in frames per second.

    Loads MP4, WebM, AVI, Ogg video and GIF, turned upright; a variable frame rate becomes the
    constant one of its median step, frames held or skipped to keep the timing. Frames that would
    take more than `limits.max_decoded_bytes` together are scaled down while they are decoded, as
    long as their shorter side keeps 224 pixels. Saves MP4 (H.264,
    yuv420p, odd sizes padded by one pixel) and GIF (256 colours, steps of 1/100 s).
    """

    frames: NDArray[np.uint8]
    fps: float

    kind: ClassVar[str] = "video"
    suffix: ClassVar[str] = ".mp4"
    saves: ClassVar[tuple[str, ...]] = (".mp4", ".gif")

    def __post_init__(self) -> None:
        self.frames = check_array(
            self.frames,
            "frames",
            np.uint8,
            "(T, H, W, 3)",
            "give RGB from 0 to 255; for floats in [0, 1], (255 * x).round().astype(np.uint8)",
        )
        self.fps = check_number(self.fps, "fps", _MIN_FPS, _MAX_FPS, "frames per second")

    def __repr__(self) -> str:
        count, height, width, _ = self.frames.shape
        return f"Video({width}×{height}, {count} frames, {self.fps:g} fps)"

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.frames) / self.fps

    def sample(self, times: Sequence[float] | NDArray[Any]) -> NDArray[np.uint8]:
        """The frames that begin nearest to some times; outside the clip, the first or last one.

        Shapes: times (K,), in seconds; result (K, H, W, 3).

        Raises:
            ValueError: if a time is NaN or infinite.
        """
        at = np.asarray(times, np.float64)
        if at.ndim != 1 or not np.isfinite(at).all():
            raise MediaError(f"times={times!r} are no list of finite seconds")
        index = np.round(at * self.fps).clip(0, len(self.frames) - 1).astype(np.int64)
        return self.frames[index]

    def html(self) -> str:
        """A looping `<video>` player with the clip inside, as MP4, and its middle as the poster."""
        width = max(256, self.frames.shape[2])
        poster = Image(self.frames[len(self.frames) // 2])._repr_png_()
        return (
            f'<video controls loop muted autoplay playsinline width="{width}" '
            f'poster="{data_uri("image/png", poster)}" '
            f'src="{data_uri("video/mp4", _write_mp4(self.frames, self.fps))}"></video>'
        )

    _repr_html_ = html

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: Any) -> Video:
        with open_container(blob, fmt, limits) as container:
            stream = moving_stream(container)
            scale = _check_header(blob, limits, container, stream)
            rate = float(stream.average_rate or 0)
            decoded, shape, times = _decode_frames(blob, limits, container, stream, scale)
        if not times:
            raise MediaError(f"{blob.name} holds no frames; record or export it again")
        frames = np.frombuffer(decoded, np.uint8).reshape(-1, *shape)
        index, fps = _constant_rate(times, rate)
        if index is not None:
            _check_clip(blob, limits, len(index), shape, len(index) / fps)
            frames = frames[index]
        return cls(frames, fps)

    def _encode(self, suffix: str) -> bytes:
        write = _write_mp4 if suffix == ".mp4" else _write_gif
        return write(self.frames, self.fps)


def _check_clip(
    blob: Blob, limits: Limits, count: float, shape: tuple[int, ...], seconds: float
) -> None:
    height, width = shape[:2]
    limits.check_pixels(blob.name, width, height)
    limits.check_seconds(blob.name, seconds)
    limits.check_frames(blob.name, count)
    size = 3 * width * height * count
    limits.check_decoded(blob.name, size, f"{count:,.0f} frames of {width}×{height}")


def _check_header(blob: Blob, limits: Limits, container: Any, stream: Any) -> float:
    """Hold what the header claims against the limits before the first frame is decoded.

    Returns:
        The factor on both sides of every frame with which the clip keeps within the limits.
    """
    shape = (stream.codec_context.height, stream.codec_context.width)
    if 0 in shape:  # FFmpeg found no frame, or none of at most max_pixels
        raise MediaError(
            f"{blob.name} has no frames, or frames over the limit of {limits.max_pixels:,} pixels; "
            "export it again, scale it down, or pass limits=Limits(max_pixels=...)"
        )
    seconds = header_seconds(container, stream)
    count = max(1, stream.frames or seconds * float(stream.average_rate or 0))
    limits.check_pixels(blob.name, shape[1], shape[0])
    scale = _fitting(limits, count, shape)
    _check_clip(blob, limits, count, tuple(_scaled(side, scale) for side in shape), seconds)
    return scale


def _fitting(limits: Limits, count: float, shape: tuple[int, int]) -> float:
    """The factor on both sides of so many frames that fits them into the decoded bytes."""
    fit = math.sqrt(limits.max_decoded_bytes / (3 * (count + 1) * shape[0] * shape[1]))
    return min(1.0, max(fit, _LEAST_SIDE / min(shape)))


def _scaled(side: int, scale: float) -> int:
    return max(1, int(side * scale))


def _decode_frames(
    blob: Blob, limits: Limits, container: Any, stream: Any, scale: float
) -> tuple[bytearray, tuple[int, int, int], list[float]]:
    """All frames as consecutive bytes, their shape, and when each begins and the last one ends."""
    decoded, times = bytearray(), list[float]()
    ends = 0.0
    width = height = 0
    shape = (0, 0, 3)
    for frame in container.decode(stream):
        if not times:
            width, height = _scaled(frame.width, scale), _scaled(frame.height, scale)
        time = frame.time if frame.time is not None else ends
        picture = _upright_rgb(frame, width, height)
        if times and picture.shape != shape:
            raise MediaError(f"{blob.name} turns its frames half way; convert it to one direction")
        shape = (picture.shape[0], picture.shape[1], 3)
        times.append(time)
        ends = time + float((frame.duration or 0) * (frame.time_base or 0))
        _check_clip(blob, limits, len(times), shape, ends - times[0])
        decoded += picture.tobytes()
    return decoded, shape, [*times, ends] if times else []


def _upright_rgb(frame: Any, width: int, height: int) -> NDArray[np.uint8]:
    if any(component.is_alpha for component in frame.format.components):
        rgba = frame.to_ndarray(width=width, height=height, format="rgba").astype(np.uint16)
        alpha = rgba[..., 3:]
        picture = ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    else:
        picture = frame.to_ndarray(width=width, height=height, format="rgb24")
    return np.rot90(picture, round(frame.rotation / 90))


def _constant_rate(times: list[float], rate: float) -> tuple[NDArray[np.int64] | None, float]:
    """Which frame to show at each step of a constant rate (None: each once), and that rate.

    `times` are the frames' beginnings and the end of the last one. A clip is constant if no
    frame is off its place by more than two milliseconds at the header's rate, or by half a step
    at the mean rate: WebM rounds to milliseconds, GIF to hundredths of a second.
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
    ticks = (np.arange(round(end / step)) + 1e-3) * step
    return np.searchsorted(np.sort(starts), ticks, side="right") - 1, 1 / step


def _pictures(frames: NDArray[np.uint8], fps: Fraction) -> Iterator[Any]:
    import av

    for index, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts, picture.time_base = index, 1 / fps
        yield picture


def _write_mp4(frames: NDArray[np.uint8], fps: float) -> bytes:
    import av

    _, height, width, _ = frames.shape
    if height % 2 or width % 2:  # yuv420p halves both sides
        padding = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
        frames = np.pad(frames, padding, mode="edge")
    rate = Fraction(fps).limit_denominator(1001)
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream: Any = container.add_stream(
            "libx264", rate=rate, options={"crf": "16", "preset": "veryfast"}
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.colorspace, stream.color_range = _BT601, _LIMITED_RANGE
        for picture in _pictures(frames, rate):
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _write_gif(frames: NDArray[np.uint8], fps: float) -> bytes:
    """A GIF that loops, with one palette made of all frames."""
    import av

    _, height, width, _ = frames.shape
    rate = Fraction(fps).limit_denominator(1001)
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / rate
    )
    split, palette, use = graph.add("split"), graph.add("palettegen"), graph.add("paletteuse")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for picture in _pictures(frames, rate):
        graph.vpush(picture)
    graph.vpush(None)
    buffer = BytesIO()
    with av.open(buffer, "w", format="gif") as container:
        stream: Any = container.add_stream("gif", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for _ in frames:
            container.mux(stream.encode(graph.vpull()))
        container.mux(stream.encode(None))
    return buffer.getvalue()
