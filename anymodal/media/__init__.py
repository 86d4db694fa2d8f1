"""Media as NumPy arrays: load, check, save and show them; nothing here needs torch.

Importing this is cheap: Pillow, soundfile, PyAV and SciPy are imported where they are used.
"""

from __future__ import annotations

from anymodal.media.audio import Audio
from anymodal.media.base import Media
from anymodal.media.image import Depth, Image, Normal, Thermal
from anymodal.media.imu import IMU
from anymodal.media.limits import LimitError, Limits, MediaError
from anymodal.media.points import PointCloud
from anymodal.media.source import Source
from anymodal.media.speech import Speech
from anymodal.media.video import Video

__all__ = [
    "IMU",
    "Audio",
    "Depth",
    "Image",
    "LimitError",
    "Limits",
    "Media",
    "MediaError",
    "Normal",
    "PointCloud",
    "Source",
    "Speech",
    "Thermal",
    "Video",
    "load",
]


def load(
    source: Source, *, kind: str | None = None, limits: Limits | None = None, **hints: object
) -> Media:
    """Load a medium of a kind given by name, or of the kind that its content tells.

    Args:
        source: a path, bytes or a binary file. Never a URL.
        kind: image, depth, thermal, normal, audio, speech, video, imu or points; None for whatever
            it is.
        limits: what is too much; `Limits()` where None.
        hints: what the file leaves open, as `sample_rate` and `units` of an `IMU`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: see `Media.load`; also if the kind is unknown.
    """
    if kind is None:
        return Media.load(source, limits=limits, **hints)
    if kind not in Media.kinds:
        raise MediaError(f"kind={kind!r} is unknown; choose one of {', '.join(Media.kinds)}")
    return Media.kinds[kind].load(source, limits=limits, **hints)
