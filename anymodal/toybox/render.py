"""Render a scene into a media item of any modality of the Toybox."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anymodal.media import IMU, Audio, Image, Media, Video
from anymodal.toybox.renderers.audio import render_audio
from anymodal.toybox.renderers.imu import IMU_RATE, render_imu
from anymodal.toybox.renderers.visual import FPS, render_image, render_video
from anymodal.toybox.scene import Scene

AUDIO_RATE = 16000
"""Samples per second."""

_RENDERERS: dict[str, Callable[[Scene, np.random.Generator], Media]] = {
    "image": lambda scene, rng: Image(render_image(scene, rng)),
    "audio": lambda scene, rng: Audio(render_audio(scene, rng, AUDIO_RATE)[None], AUDIO_RATE),
    "video": lambda scene, rng: Video(render_video(scene, rng), FPS),
    "imu": lambda scene, rng: IMU(render_imu(scene, rng), IMU_RATE),
}

MODALITIES = tuple(_RENDERERS)
"""The modalities that a scene can be rendered into."""


def render_scene(scene: Scene, modality: str, rng: np.random.Generator) -> Media:
    """Render a media item of a scene, with random jitter.

    Raises:
        ValueError: for a modality that the Toybox doesn't render.
    """
    if modality not in _RENDERERS:
        raise ValueError(f"the Toybox renders {', '.join(MODALITIES)}, not {modality!r}")
    return _RENDERERS[modality](scene, rng)
