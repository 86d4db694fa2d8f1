"""Toybox media as files that people have: other formats, sizes, rates and lengths, and noise.

For evaluation alone: no training sees these corruptions.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import PIL.Image
import soundfile
from numpy.typing import NDArray

from anymodal.media import IMU, Audio, Image, Media, Video
from anymodal.toybox.augmentation import add_pixel_noise
from anymodal.toybox.renderers.audio import render_audio
from anymodal.toybox.renderers.imu import render_imu
from anymodal.toybox.renderers.visual import render_image, render_video
from anymodal.toybox.scene import Scene

Pixels = NDArray[np.uint8]

SIDES = (48, 320)
"""Pixels of an image's shorter side, from and to; videos have half of it at most."""
MAX_ASPECT = 1.5
"""The longer side, in shorter ones."""
SECONDS = (1.0, 5.0)
"""Length of audio, videos and IMU recordings, from and to."""


def render_varied(scene: Scene, modality: str, rng: np.random.Generator) -> Media:
    """Render a media item of a scene in another format, size, rate and length, with noise.

    Images are JPEG at quality 30, audio MP3 in stereo at 44.1 kHz, videos H.264 at 24 frames per
    second, IMU recordings sampled at 50 or 400 Hz; each is written to a file and read back.

    Raises:
        ValueError: for a modality that the Toybox doesn't render.
    """
    if modality not in _VARIATIONS:
        raise ValueError(f"the Toybox renders {', '.join(_VARIATIONS)}, not {modality!r}")
    return _VARIATIONS[modality](scene, rng)


def _varied_image(scene: Scene, rng: np.random.Generator) -> Media:
    side = int(rng.integers(*SIDES, endpoint=True))
    pixels = _pad_and_corrupt(render_image(scene, rng, side)[None], rng)[0]
    file = BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", quality=30)
    return Image.load(file.getvalue())


def _varied_video(scene: Scene, rng: np.random.Generator) -> Media:
    side, fps = int(rng.integers(SIDES[0], SIDES[1] // 2, endpoint=True)), 24
    count = round(rng.uniform(*SECONDS) * fps)
    frames = _pad_and_corrupt(render_video(scene, rng, count, fps, side), rng)
    return Video.load(Video(frames, fps).encode(".mp4"))


def _pad_and_corrupt(frames: Pixels, rng: np.random.Generator) -> Pixels:
    """Square frames (T, H, W, 3) made wider or taller at their edges, with noise."""
    more = round(frames.shape[1] * rng.uniform(0, MAX_ASPECT - 1) / 2)
    padding = [(0, 0), (0, 0), (0, 0), (0, 0)]
    padding[1 + int(rng.integers(2))] = (more, more)
    return add_pixel_noise(np.pad(frames, padding, mode="edge"), 3, rng)


def _varied_audio(scene: Scene, rng: np.random.Generator) -> Media:
    rate = 44100
    clean = render_audio(scene, rng, rate, rng.uniform(*SECONDS))
    wave = clean + rng.normal(0, 0.005, clean.shape)
    stereo = wave[:, None] * rng.uniform(0.6, 1.0, 2)  # (n,) -> (n, 2)
    file = BytesIO()
    soundfile.write(file, stereo.clip(-1, 1), rate, format="MP3")
    return Audio.load(file.getvalue())


def _varied_imu(scene: Scene, rng: np.random.Generator) -> Media:
    rate = int(rng.choice((50, 400)))
    samples = render_imu(scene, rng, rate, rng.uniform(*SECONDS))
    samples = samples + rng.normal(0, 0.02, samples.shape).astype(np.float32)
    return IMU.load(IMU(samples, rate).encode(".csv"))


_VARIATIONS: dict[str, Callable[[Scene, np.random.Generator], Media]] = {
    "image": _varied_image,
    "audio": _varied_audio,
    "video": _varied_video,
    "imu": _varied_imu,
}
