"""Clips of frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from anymodal.media.base import Media, data_uri
from anymodal.media.checks import check_array, check_number
from anymodal.media.formats import Format
from anymodal.media.frames import read_clip
from anymodal.media.image import Image
from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import Blob

if TYPE_CHECKING:
    from av import VideoFrame

_MIN_FPS, _MAX_FPS = 0.01, 1000
_BT601, _LIMITED_RANGE = 6, 1  # AVCOL_SPC_SMPTE170M and AVCOL_RANGE_MPEG


@dataclass(eq=False, repr=False)
class Video(Media):
    """A clip: frames at a constant rate, frame i shown from i / fps to (i + 1) / fps seconds.

    Shapes: frames (T, H, W, 3), uint8, sRGB. Units: fps in frames per second.

    Loads MP4, MOV, WebM, AVI, Ogg, GIF, MPEG, FLV, WMV and MXF, turned and mirrored as they are to
    be seen, with square pixels, transparency on white; a variable frame rate becomes the constant
    one of its median step, frames held or skipped to keep the timing. Frames that would take more
    than `limits.max_decoded_bytes` together are scaled down while they are decoded, as long as
    their shorter side keeps 224 pixels; then they are thinned evenly in time, which `fps` tells.
    Saves MP4 (H.264, yuv420p, odd sizes padded by one pixel) and GIF (256 colours, steps of
    1/100 s).
    """

    frames: NDArray[np.uint8]
    fps: float

    kind: ClassVar[str] = "video"
    time_axis: ClassVar[int | None] = 0
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

    def sample(self, times: Sequence[float] | NDArray[np.floating]) -> NDArray[np.uint8]:
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
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: object) -> Video:
        return cls(*read_clip(blob, fmt, limits))

    def _encode(self, suffix: str) -> bytes:
        write = _write_mp4 if suffix == ".mp4" else _write_gif
        return write(self.frames, self.fps)


def _pictures(frames: NDArray[np.uint8], fps: Fraction) -> Iterator[VideoFrame]:
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
    rate = Fraction(fps).limit_denominator(1001)  # exact for NTSC's, such as 30000/1001
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": "16", "preset": "veryfast"}
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        # Named, since players guess unnamed colours by the size of the frames.
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
        stream = container.add_stream("gif", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for _ in frames:
            container.mux(stream.encode(graph.vpull()))
        container.mux(stream.encode(None))
    return buffer.getvalue()
