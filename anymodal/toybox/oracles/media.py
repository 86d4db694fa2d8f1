"""Oracle for any media item of the Toybox, by its kind."""

from __future__ import annotations

from anymodal.media import IMU, Audio, Image, Media, Video
from anymodal.toybox.oracles.audio import read_audio
from anymodal.toybox.oracles.imu import read_imu
from anymodal.toybox.oracles.visual import read_image, read_video


def read_media(item: Media) -> dict[str, str]:
    """Read the attributes off a media item; those that can't be read are left out.

    Raises:
        TypeError: for a kind of media that the Toybox has no oracle for.
        ValueError: for media that the oracle can't read, such as audio of less than 0.9 s.
    """
    if isinstance(item, Image):
        attributes = read_image(item.pixels)
    elif isinstance(item, Audio):
        attributes = read_audio(item.mono().samples[0], item.rate)
    elif isinstance(item, Video):
        attributes = read_video(item.frames, item.fps)
    elif isinstance(item, IMU):
        attributes = read_imu(item.samples, item.rate)
    else:
        raise TypeError(f"the Toybox has no oracle for {type(item).__name__}")
    return {name: value for name, value in attributes.items() if value}
