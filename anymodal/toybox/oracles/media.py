"""What any medium of the Toybox tells, by the oracle of its kind."""

from __future__ import annotations

from anymodal.media import IMU, Audio, Image, Media, Video
from anymodal.toybox.oracles.audio import hear
from anymodal.toybox.oracles.visual import read_image, read_imu, read_video


def measure(medium: Media) -> dict[str, str]:
    """The attributes that a medium tells, as measured; what cannot be told is left out.

    Raises:
        TypeError: for a kind of medium that the Toybox has no oracle for.
    """
    if isinstance(medium, Image):
        found = read_image(medium.pixels)
    elif isinstance(medium, Audio):
        found = hear(medium.mono().samples[0], medium.rate)
    elif isinstance(medium, Video):
        found = read_video(medium.frames, medium.fps)
    elif isinstance(medium, IMU):
        found = read_imu(medium.samples, medium.rate)
    else:
        raise TypeError(f"the Toybox has no oracle for {type(medium).__name__}")
    return {name: value for name, value in found.items() if value}
