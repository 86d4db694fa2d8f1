"""Media that show nothing of the Toybox: what a model has to say that it doesn't know."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anymodal.media import IMU, Audio, Image, Media, Video
from anymodal.toybox.conditions.pictures import Light, draw_ground
from anymodal.toybox.conditions.rooms import hiss, music, voice
from anymodal.toybox.render import AUDIO_RATE
from anymodal.toybox.renderers.imu import GRAVITY, IMU_RATE
from anymodal.toybox.renderers.visual import (
    FPS,
    IMAGE_SIZE,
    NUM_FRAMES,
    Jitter,
    Look,
    Pixels,
    draw_icon,
)
from anymodal.toybox.scene import COLORS, THINGS
from anymodal.toybox.trajectory import SECONDS

_SAMPLES = round(SECONDS * AUDIO_RATE)


def render_outside(modality: str, kind: str, rng: np.random.Generator) -> Media:
    """Render a media item that shows no scene of the Toybox.

    Args:
        modality: of the item.
        kind: one of `OUTSIDE[modality]`.
        rng: of everything in it.

    Raises:
        ValueError: for a modality or a kind that there isn't.
    """
    renderers = _RENDERERS.get(modality, {})
    if kind not in renderers:
        known = ", ".join(f"{name} {each}" for name, kinds in OUTSIDE.items() for each in kinds)
        raise ValueError(f"there is no {modality} of {kind!r}; choose one of {known}")
    return renderers[kind](rng)


def _page(rng: np.random.Generator) -> Media:
    """A page with nothing on it."""
    return Image(Light.draw(rng).shine(_pixels(draw_ground(rng))))


def _photograph(rng: np.random.Generator) -> Media:
    """Soft blobs of many colours over a horizon, as of a landscape that is out of focus."""
    return Image(_landscape(rng))


def _landscape(rng: np.random.Generator) -> Pixels:
    planes = draw_ground(rng)
    ticks = np.linspace(-1, 1, IMAGE_SIZE)
    dull = rng.uniform(0, 0.9)  # of its colours, from vivid ones on
    for _ in range(int(rng.integers(6, 24))):
        x, y = rng.uniform(-1, 1, 2)
        width, height = np.exp(rng.uniform(np.log(0.05), np.log(0.7), 2))
        hardness = rng.uniform(1, 12)
        distance = ((ticks - x) / width) ** 2 + ((ticks[:, None] - y) / height) ** 2
        cover = 1 / (1 + np.exp(np.minimum(hardness * (distance - 1), 50)))
        colour = rng.uniform(0, 255, (3, 1, 1))
        planes += cover * (colour + dull * (colour.mean() - colour) - planes)
    planes += rng.normal(0, rng.uniform(2, 14), planes.shape)
    return _pixels(planes)


def _two_things(rng: np.random.Generator) -> Media:
    """Two different things beside each other."""
    pixels = _pixels(draw_ground(rng))
    upright = bool(rng.random() < 0.5)
    for thing, side in zip(rng.choice(THINGS, 2, replace=False), (-0.25, 0.25), strict=True):
        x, y = rng.uniform(-0.06, 0.06, 2)
        x, y = (x, y + side) if upright else (x + side, y)
        background = pixels.transpose(2, 0, 1).astype(np.float32)
        jitter = Jitter(float(x), float(y), rng.uniform(0.9, 1.1), background)
        look = Look(float(rng.uniform(-0.3, 0.3)), bool(rng.random() < 0.5))
        pixels = draw_icon(str(thing), str(rng.choice(COLORS)), 0.19, jitter, look)
    return Image(pixels)


def _static(rng: np.random.Generator) -> Media:
    """Noise in every pixel."""
    return Image(rng.integers(0, 256, (IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8))


def _silence(rng: np.random.Generator) -> Media:
    noise = rng.standard_normal((1, _SAMPLES)) * 10 ** rng.uniform(-5, -3)
    return Audio(noise.astype(np.float32), AUDIO_RATE)


def _noise(rng: np.random.Generator) -> Media:
    return _sound(hiss(_SAMPLES, AUDIO_RATE, rng), rng)


def _speech(rng: np.random.Generator) -> Media:
    return _sound(voice(_SAMPLES, AUDIO_RATE, rng), rng)


def _tune(rng: np.random.Generator) -> Media:
    return _sound(music(_SAMPLES, AUDIO_RATE, rng), rng)


def _sound(wave: np.ndarray, rng: np.random.Generator) -> Media:
    level = rng.uniform(0.2, 0.95) / max(float(np.abs(wave).max()), 1e-6)
    return Audio((wave * level).astype(np.float32)[None], AUDIO_RATE)


def _empty_clip(rng: np.random.Generator) -> Media:
    """A page that is filmed."""
    frame = Light.draw(rng).shine(_pixels(draw_ground(rng)))
    return Video(np.repeat(frame[None], NUM_FRAMES, 0), FPS)


def _view(rng: np.random.Generator) -> Media:
    """A landscape that the camera moves along."""
    wide = np.concatenate([_landscape(rng), _landscape(rng)], 1)  # (H, 2 W, 3)
    steps = np.linspace(0, rng.uniform(0.1, 0.9) * IMAGE_SIZE, NUM_FRAMES).astype(int)
    return Video(np.stack([wide[:, step : step + IMAGE_SIZE] for step in steps]), FPS)


def _shaken(rng: np.random.Generator) -> Media:
    """Movements in all directions at once, which no path of the Toybox has."""
    count = round(SECONDS * IMU_RATE)
    white = rng.standard_normal((6, count + 40))
    smooth = np.stack([np.convolve(row, np.hanning(41) / 20, "valid") for row in white])
    samples = smooth * np.array([[4.0]] * 3 + [[1.0]] * 3) * rng.uniform(1, 4)
    samples[1] += GRAVITY
    return IMU(samples.astype(np.float32), IMU_RATE)


def _pixels(planes: np.ndarray) -> Pixels:
    """Planes (3, H, W) as pixels (H, W, 3)."""
    return np.ascontiguousarray((planes + 0.5).clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


_RENDERERS: dict[str, dict[str, Callable[[np.random.Generator], Media]]] = {
    "image": {
        "empty page": _page,
        "photograph": _photograph,
        "two things": _two_things,
        "static": _static,
    },
    "audio": {"silence": _silence, "noise": _noise, "speech": _speech, "music": _tune},
    "video": {"empty page": _empty_clip, "photograph": _view},
    "imu": {"shaken": _shaken},
}

OUTSIDE = {modality: tuple(kinds) for modality, kinds in _RENDERERS.items()}
"""Kinds of media that show nothing of the Toybox, by modality."""
