"""Scenes as people's files show them: other light, grounds, views, drawing styles, rooms and hands.

For evaluation alone: no training reads this module, and it shares no code with augmentation. The
things are the renderers' own; what is around them is made here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from anymodal.media import IMU, Audio, Image, Media
from anymodal.toybox.renderers.audio import render_audio
from anymodal.toybox.renderers.icons import ICONS
from anymodal.toybox.renderers.imu import IMU_RATE, render_imu
from anymodal.toybox.renderers.visual import PALETTE, RADIUS
from anymodal.toybox.scene import Scene

Floats = NDArray[np.float64]

SIDE = 128
"""Pixels of an image's side."""
RATE = 16000
"""Samples per second of audio."""

_LINE = 0.1
"""Width of a line in icon units."""
_DARK, _LIGHT = np.array([40.0, 36.0, 44.0]), np.full(3, 250.0)


@dataclass
class IconView:
    """Placement of an icon in an image.

    Args:
        ground: shape (H, W, 3), values 0 to 255.
        x: centre, to the right of the image's middle, as a fraction of its side.
        y: centre, up from the middle.
        turn: degrees against the clock.
        mirrored: left and right changed.
        style: one of `STYLES`, or "plain" as the renderer draws.
        shadow: whether a shadow lies to the lower right.
    """

    ground: Floats
    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0
    mirrored: bool = False
    style: str = "plain"
    shadow: bool = False


STYLES = ("outline", "flat", "shaded", "pencil")


def draw_view(scene: Scene, view: IconView, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a scene's icon as a view shows it; shape (H, W, 3)."""
    side = view.ground.shape[0]
    unit = RADIUS[scene.size] * rng.uniform(0.95, 1.05) * side  # pixels per icon unit
    ticks = (np.arange(side) + 0.5) / unit
    right = ticks[None] - (0.5 + view.x) * side / unit
    up = (0.5 - view.y) * side / unit - ticks[:, None]
    cos, sin = np.cos(np.radians(view.turn)), np.sin(np.radians(view.turn))
    x, y = cos * right + sin * up, cos * up - sin * right  # (H, W), the icon's own axes
    layers = ICONS[scene.thing](-x if view.mirrored else x, y)
    image = view.ground.copy()
    if view.shadow:
        figure = np.min([distance for distance, _ in layers], 0)
        shade = np.clip(0.5 - figure * unit, 0, 1)
        offset = (0.14 * unit, 0.18 * unit)
        shade = ndimage.gaussian_filter(ndimage.shift(shade, offset), 0.06 * unit)
        image *= 1 - 0.45 * shade[..., None]
    color = np.array(PALETTE[scene.color], float)
    for distance, kind in layers:
        _draw_layer(image, distance, kind, color, unit, (x, y), view.style, rng)
    return np.asarray(image.round().clip(0, 255).astype(np.uint8))


def _draw_layer(
    image: Floats,
    distance: NDArray[np.floating],
    kind: str,
    color: Floats,
    unit: float,
    axes: tuple[Floats, Floats],
    style: str,
    rng: np.random.Generator,
) -> None:
    """Draw one layer in a style, in place."""
    x, y = axes
    inside = np.clip(0.5 - distance * unit, 0, 1)[..., None]
    edge = np.clip(0.5 - (np.abs(distance + _LINE / 2) - _LINE / 2) * unit, 0, 1)[..., None]
    paint = {"fill": color, "pane": _LIGHT, "shade": 0.55 * color, "light": _LIGHT}.get(kind, _DARK)
    has_line = kind in ("fill", "pane")
    if style == "outline":  # coloured lines on the bare ground
        if has_line:
            image += edge * (color - image)
        elif kind in ("dark", "shade"):
            image += inside * (paint - image)
    elif style == "flat":  # no line, no gradient
        image += inside * (paint - image)
    elif style == "shaded":  # lit from the upper left, as a solid
        light = np.clip(0.78 + 0.3 * (y - x) - 0.12 * (x**2 + y**2), 0.35, 1.15)[..., None]
        image += inside * ((paint * light).clip(0, 255) - image)
    elif style == "pencil":  # hatched, with an uneven line
        grain = rng.uniform(0.55, 1, image.shape[:2])[..., None]
        hatch = 0.5 + 0.5 * np.sin(26 * (x + 0.7 * y))[..., None] > 0.3
        strength = np.where(hatch, 0.95, 0.35) if kind == "fill" else 0.8
        image += inside * strength * grain * (paint - image)
        if has_line:
            image += edge * grain * (0.5 * color - image)
    else:
        if has_line:
            image += inside * (0.55 * color - image)
            inside = np.clip(0.5 - (distance + _LINE) * unit, 0, 1)[..., None]
        image += inside * (paint - image)


def _paper(rng: np.random.Generator) -> Floats:
    """A light ground, a little uneven."""
    ramp = np.linspace(-1, 1, SIDE)
    slope = rng.uniform(-8, 8, 2)
    plane = rng.uniform(222, 246) + slope[0] * ramp[:, None] + slope[1] * ramp
    return np.asarray(plane[..., None] + rng.uniform(-5, 5, 3))


def _colored_ground(scene: Scene, rng: np.random.Generator) -> Floats:
    """A ground of any colour from which the thing's own stands out."""
    while True:
        color = rng.uniform(0, 255, 3)
        if np.linalg.norm(color - PALETTE[scene.color]) > 110:
            return _paper(rng) - 234 + color


def _table(scene: Scene, rng: np.random.Generator) -> Floats:
    """A wall above a table, its edge somewhere in the image."""
    ground = _paper(rng)
    ramp = np.linspace(-0.5, 0.5, SIDE)
    edge = rng.uniform(-0.2, 0.35) + rng.uniform(-0.15, 0.15) * ramp
    table = (ramp[:, None] > edge)[..., None]
    return np.where(table, np.array([186, 158, 128]) * rng.uniform(0.8, 1.15), ground)


def _exposed(pixels: NDArray[np.uint8], gain: float | Floats, gamma: float = 1.0) -> Image:
    levels = 255 * (pixels / 255) ** gamma * gain
    return Image(levels.round().clip(0, 255).astype(np.uint8))


def light_image(scene: Scene, condition: str, rng: np.random.Generator) -> Media:
    """Render a scene as an image in a condition of `CONDITIONS["image"]`."""
    view = IconView(_paper(rng), *rng.uniform(-0.08, 0.08, 2))
    if condition in STYLES:
        view.style = condition
    elif condition == "ground":
        view.ground = _colored_ground(scene, rng)
    elif condition == "table edge":
        view.ground = _table(scene, rng)
    elif condition == "shadow":
        view.shadow = True
    elif condition == "mirrored":
        view.mirrored = True
    elif condition == "rotated":
        view.turn = rng.choice((-1, 1)) * rng.uniform(10, 25)
    elif condition == "cropped":  # up to a quarter of the icon lies outside
        reach = 0.5 - 0.5 * RADIUS[scene.size]
        view.x, view.y = rng.permutation([rng.choice((-1, 1)) * reach, rng.uniform(-0.1, 0.1)])
    pixels = draw_view(scene, view, rng)
    if condition == "brightness":
        return _exposed(pixels, rng.choice((rng.uniform(0.4, 0.75), rng.uniform(1.1, 1.3))))
    if condition == "gamma":
        return _exposed(pixels, 1, rng.choice((rng.uniform(0.5, 0.8), rng.uniform(1.3, 2.0))))
    if condition == "tint":
        return _exposed(pixels, rng.permutation([rng.uniform(0.75, 0.85), rng.uniform(0.9, 1), 1]))
    if condition == "vignette":
        ramp = np.linspace(-1, 1, SIDE)
        return _exposed(pixels, 1 - 0.35 * (ramp[:, None] ** 2 + ramp**2)[..., None])
    return Image(pixels)


def light_audio(scene: Scene, condition: str, rng: np.random.Generator) -> Media:
    """Render a scene as audio in a condition of `CONDITIONS["audio"]`."""
    wave = render_audio(scene, rng, RATE).astype(float)
    if condition == "room echo":
        length = rng.uniform(0.25, 0.7)  # seconds until the echo has fallen by 60 dB
        t = np.arange(round(length * RATE)) / RATE
        response = rng.standard_normal(len(t)) * 10 ** (-3 * t / length)
        response *= 0.7 / np.sqrt(np.square(response).sum())
        response[0] = 1
        wave = signal.fftconvolve(wave, response)[: len(wave)]
    elif condition in _BACKGROUNDS:
        background = _BACKGROUNDS[condition](len(wave), rng)
        decibels = rng.uniform(6, 15)
        gain = np.sqrt(np.square(wave).mean() / np.square(background).mean())
        wave = wave + background * gain * 10 ** (-decibels / 20)
    wave *= 0.9 / np.abs(wave).max()
    return Audio(wave[None].astype(np.float32), RATE)


def _noise(count: int, rng: np.random.Generator) -> Floats:
    """Noise between white and brown."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum *= np.maximum(np.arange(len(spectrum)), 40) ** -rng.uniform(0, 1)
    return np.asarray(np.fft.irfft(spectrum, count))


def _music(count: int, rng: np.random.Generator) -> Floats:
    """Chords of three soft tones, one every half second."""
    out = np.zeros(count)
    step = RATE // 2
    for start in range(0, count, step):
        t = np.arange(min(step, count - start)) / RATE
        root = 220 * 2 ** (rng.integers(0, 12) / 12)
        for note in (0, rng.choice((3, 4)), 7):
            tone = 2 * np.pi * root * 2 ** (note / 12) * t
            out[start : start + len(t)] += (np.sin(tone) + 0.3 * np.sin(2 * tone)) * np.exp(-3 * t)
    return out


def _speech(count: int, rng: np.random.Generator) -> Floats:
    """Syllables of a buzzing voice under two moving formants, four or five a second, with gaps."""
    out = np.zeros(count)
    start = 0
    while start < count:
        length = round(rng.uniform(0.12, 0.25) * RATE)
        t = np.arange(length) / RATE
        pitch = rng.uniform(95, 210) * (1 + 0.1 * np.sin(2 * np.pi * 3 * t))
        voice = signal.sawtooth(2 * np.pi * np.cumsum(pitch) / RATE)
        voice += 0.1 * rng.standard_normal(length)
        syllable = np.zeros(length)
        for low, high in ((280, 800), (900, 2300)):
            numerator, denominator = signal.iirpeak(rng.uniform(low, high), 5, RATE)
            syllable += signal.lfilter(numerator, denominator, voice)
        syllable *= np.hanning(length)
        part = syllable[: count - start]
        out[start : start + len(part)] += part
        start += length + round(rng.uniform(0, 0.12) * RATE)
    return out


_BACKGROUNDS: dict[str, Callable[[int, np.random.Generator], Floats]] = {
    "noise": _noise,
    "music": _music,
    "speech": _speech,
}


def light_imu(scene: Scene, rng: np.random.Generator) -> Media:
    """Render a scene as an IMU recording of a phone held in any orientation.

    The screen faces the holder: turned by any angle in its own plane, tilted back or forward by up
    to 60 degrees, and aside by up to 10. So gravity and the screen's side tell which way is up,
    right and toward the holder.
    """
    roll = rng.uniform(0, 2 * np.pi)
    pitch, yaw = np.radians(rng.uniform(-60, 60)), np.radians(rng.uniform(-10, 10))
    about_z, about_x, about_y = (
        np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]),
        np.array(
            [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
        ),
        np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]),
    )
    rotation = about_z @ about_x @ about_y
    samples = render_imu(scene, rng)  # (6, T)
    turned = np.concatenate([rotation @ samples[:3], rotation @ samples[3:]])
    return IMU(turned.astype(np.float32), IMU_RATE)
