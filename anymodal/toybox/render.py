"""Render a scene into a medium of any modality of the Toybox."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anymodal.media import IMU, Audio, Image, Media, Video
from anymodal.toybox.renderers.audio import play
from anymodal.toybox.renderers.imu import RATE as IMU_RATE
from anymodal.toybox.renderers.imu import feel
from anymodal.toybox.renderers.visual import FPS, draw_image, draw_video
from anymodal.toybox.scene import Scene

SOUND_RATE = 16000

_RENDERERS: dict[str, Callable[[Scene, np.random.Generator], Media]] = {
    "image": lambda scene, rng: Image(draw_image(scene, rng)),
    "audio": lambda scene, rng: Audio(play(scene, rng, SOUND_RATE)[None], SOUND_RATE),
    "video": lambda scene, rng: Video(draw_video(scene, rng), FPS),
    "imu": lambda scene, rng: IMU(feel(scene, rng), IMU_RATE),
}

MODALITIES = tuple(_RENDERERS)
"""The media that a scene can be rendered into."""


def render(scene: Scene, modality: str, rng: np.random.Generator) -> Media:
    """A fresh medium of a scene, with the renderer's jitter.

    Raises:
        ValueError: for a modality that the Toybox doesn't render.
    """
    if modality not in _RENDERERS:
        raise ValueError(f"the Toybox renders {', '.join(MODALITIES)}, not {modality!r}")
    return _RENDERERS[modality](scene, rng)
