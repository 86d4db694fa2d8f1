"""Clips of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from anymodal.media.audio import Audio
from anymodal.media.base import Media, data_uri
from anymodal.media.checks import check_array, check_number
from anymodal.media.clip_files import write_gif, write_mp4
from anymodal.media.containers import contents
from anymodal.media.content import OPTIONAL
from anymodal.media.formats import Format
from anymodal.media.frames import read_clip
from anymodal.media.image import Image
from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import Blob

_MIN_FPS, _MAX_FPS = 0.01, 1000


def _no_sound() -> Audio | None:
    return None


@dataclass(eq=False, repr=False)
class Video(Media):
    """A clip: frames at a constant rate, frame i shown from i / fps to (i + 1) / fps seconds.

    Shapes: frames (T, H, W, 3), uint8, sRGB. Units: fps in frames per second. The sound, if there
    is any, begins with the first frame.

    Loads MP4, MOV, WebM, AVI, Ogg, GIF, MPEG, FLV, WMV and MXF, turned and mirrored as they are to
    be seen, with square pixels, transparency on white; a variable frame rate becomes the constant
    one of its median step, frames held or skipped to keep the timing. Frames that would take more
    than `limits.max_decoded_bytes` together are scaled down while they are decoded, as long as
    their shorter side keeps 224 pixels; then they are thinned evenly in time, which `fps` tells.
    The sound of a file is read with the hint `sound=True` alone: else the file's other half is an
    `Audio`. Saves MP4 (H.264, yuv420p, odd sizes padded by one pixel; AAC for the sound) and GIF
    (256 colours, steps of 1/100 s, no sound).
    """

    frames: NDArray[np.uint8]
    fps: float
    # A factory, since a default would stand on the class, and a file that isn't decoded have it.
    sound: Audio | None = field(default_factory=_no_sound, metadata={OPTIONAL: True})

    kind: ClassVar[str] = "video"
    time_axis: ClassVar[int | None] = 0
    suffix: ClassVar[str] = ".mp4"
    saves: ClassVar[tuple[str, ...]] = (".mp4", ".gif")
    hints: ClassVar[frozenset[str]] = frozenset({"sound"})

    def __post_init__(self) -> None:
        self.frames = check_array(
            self.frames,
            "frames",
            np.uint8,
            "(T, H, W, 3)",
            "give RGB from 0 to 255; for floats in [0, 1], (255 * x).round().astype(np.uint8)",
        )
        self.fps = check_number(self.fps, "fps", _MIN_FPS, _MAX_FPS, "frames per second")
        if not isinstance(self.sound, Audio | None):
            raise MediaError(f"sound={self.sound!r}; give an Audio, or None for a silent clip")

    def __repr__(self) -> str:
        count, height, width, _ = self.frames.shape
        sound = "" if self.sound is None else ", with sound"
        return f"Video({width}×{height}, {count} frames, {self.fps:g} fps{sound})"

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

    @property
    def file_hints(self) -> dict[str, object]:
        return {} if self.sound is None else {"sound": True}

    def cut(self, start: float, seconds: float) -> Self:
        part, sound = super().cut(start, seconds), self.sound
        if sound is not None:
            first, last = round(start * sound.rate), round((start + seconds) * sound.rate)
            samples = sound.samples[:, first:last]
            part.sound = Audio(samples, sound.rate) if samples.size else None
        return part

    def html(self) -> str:
        """A `<video>` player with the clip inside, as MP4, and its middle as the poster.

        A silent one plays at once; browsers wait for a click before they let a page sound.
        """
        width = max(256, self.frames.shape[2])
        plays = "muted autoplay" if self.sound is None else 'preload="auto"'
        poster = Image(self.frames[len(self.frames) // 2])._repr_png_()
        return (
            f'<video controls loop {plays} playsinline width="{width}" '
            f'poster="{data_uri("image/png", poster)}" '
            f'src="{data_uri("video/mp4", self._encode(".mp4"))}"></video>'
        )

    _repr_html_ = html

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: object) -> Video:
        sounds = bool(hints.get("sound")) and Audio.kind in contents(blob, fmt, limits)
        sound = Audio._decode(blob, fmt, limits) if sounds else None
        return cls(*read_clip(blob, fmt, limits), sound)

    def _encode(self, suffix: str) -> bytes:
        if suffix == ".gif":
            return write_gif(self.frames, self.fps)
        return write_mp4(self.frames, self.fps, self.sound)
