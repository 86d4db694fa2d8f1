"""Toybox media as files that people have: other formats, sizes, rates and lengths, and noise."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import PIL.Image
import soundfile
from numpy.typing import NDArray

from anymodal.media import IMU, Audio, Image, Media, Video
from anymodal.toybox.augmentation import grainy
from anymodal.toybox.renderers.audio import play
from anymodal.toybox.renderers.imu import feel
from anymodal.toybox.renderers.visual import draw_image, draw_video
from anymodal.toybox.scene import Scene

Pixels = NDArray[np.uint8]

SIDES = (48, 320)
"""Pixels of a picture's shorter side, from and to; clips have half of it at most."""
LONGEST = 1.5
"""The longer side, in shorter ones."""
SECONDS = (1.0, 5.0)
"""How long sounds, clips and movements last, from and to."""


def vary(scene: Scene, modality: str, rng: np.random.Generator) -> Media:
    """A fresh medium of a scene, through a file as one meets them.

    Pictures are JPEG at quality 30, sounds MP3 in stereo at 44.1 kHz, clips H.264 at 24 frames per
    second, movements sampled at 50 or 400 Hz; sizes, sides, lengths and noise vary.

    Raises:
        ValueError: for a modality that the Toybox doesn't render.
    """
    if modality not in _VARIATIONS:
        raise ValueError(f"the Toybox renders {', '.join(_VARIATIONS)}, not {modality!r}")
    return _VARIATIONS[modality](scene, rng)


def _picture(scene: Scene, rng: np.random.Generator) -> Media:
    side = int(rng.integers(*SIDES, endpoint=True))
    pixels = _framed(draw_image(scene, rng, side)[None], rng)[0]
    file = BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", quality=30)
    return Image.load(file.getvalue())


def _clip(scene: Scene, rng: np.random.Generator) -> Media:
    side, fps = int(rng.integers(SIDES[0], SIDES[1] // 2, endpoint=True)), 24
    count = round(rng.uniform(*SECONDS) * fps)
    frames = _framed(draw_video(scene, rng, count, fps, side), rng)
    return Video.load(Video(frames, fps).encode(".mp4"))


def _framed(frames: Pixels, rng: np.random.Generator) -> Pixels:
    """Square frames (T, H, W, 3) made wider or taller at their edges, with noise."""
    more = round(frames.shape[1] * rng.uniform(0, LONGEST - 1) / 2)
    padding = [(0, 0), (0, 0), (0, 0), (0, 0)]
    padding[1 + int(rng.integers(2))] = (more, more)
    wide = np.pad(frames, padding, mode="edge")
    return grainy(wide, 3, rng)


def _sound(scene: Scene, rng: np.random.Generator) -> Media:
    rate = 44100
    clean = play(scene, rng, rate, rng.uniform(*SECONDS))
    wave = clean + rng.normal(0, 0.005, clean.shape)
    sides = wave[:, None] * rng.uniform(0.6, 1.0, 2)  # (n,) -> (n, 2)
    file = BytesIO()
    soundfile.write(file, sides.clip(-1, 1), rate, format="MP3")
    return Audio.load(file.getvalue())


def _movement(scene: Scene, rng: np.random.Generator) -> Media:
    rate = int(rng.choice((50, 400)))
    samples = feel(scene, rng, rate, rng.uniform(*SECONDS))
    samples = samples + rng.normal(0, 0.02, samples.shape).astype(np.float32)
    return IMU.load(IMU(samples, rate).encode(".csv"))


_VARIATIONS: dict[str, Callable[[Scene, np.random.Generator], Media]] = {
    "image": _picture,
    "audio": _sound,
    "video": _clip,
    "imu": _movement,
}
