"""Images and videos: grounds, shadows, drawing styles, angles, crops and light."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from anymodal.media import Image, Media, Video
from anymodal.toybox.renderers.visual import (
    FPS,
    IMAGE_SIZE,
    NUM_FRAMES,
    RADIUS,
    STYLES,
    Jitter,
    Look,
    Pixels,
    draw_icon,
)
from anymodal.toybox.scene import Scene
from anymodal.toybox.trajectory import trajectory

Planes = NDArray[np.float32]

MAX_ANGLE = float(np.radians(28))
"""The largest angle that a picture is turned by."""
MAX_OFFSET = 0.38
"""How far a picture's icon may stand from the middle, as a share of the frame: some is cropped."""
BRIGHTNESS = (0.4, 1.35)
GAMMA = (0.6, 1.7)
TINT = 0.12
"""The largest difference of a channel's gain from one."""


def draw_picture(scene: Scene, rng: np.random.Generator) -> Media:
    """Draw an image of a scene on some ground, in some style, from some side, under some light."""
    reach = MAX_OFFSET * rng.choice((0.3, 0.7, 1.0))
    x, y = rng.uniform(-reach, reach, 2)
    scale = rng.uniform(0.88, 1.12)
    ground = cast_shadow(draw_ground(rng), x, y, RADIUS[scene.size] * scale, rng)
    jitter = Jitter(x, y, scale, ground)
    look = _draw_look(rng, mirrors=True)
    pixels = draw_icon(scene.thing, scene.color, RADIUS[scene.size], jitter, look)
    return Image(Light.draw(rng).shine(pixels))


def draw_video(scene: Scene, rng: np.random.Generator, from_image: bool = False) -> Video:
    """Film a scene on some ground, in some style, under some light; all stay the same meanwhile.

    With `from_image` things stand where those of pictures do at first, and move on from there.
    """
    reach = 0.2 if from_image else 0.04
    x, y = rng.uniform(-reach, reach, 2)
    scale = rng.uniform(0.92, 1.08)
    ground, light = draw_ground(rng), Light.draw(rng)
    look = _draw_look(rng, mirrors=False)  # a mirrored movement would be another one
    steps = trajectory(scene.motion, scene.tempo, np.arange(NUM_FRAMES) / FPS, from_image)
    frames = []
    for dx, dy, log_scale in steps:
        jitter = Jitter(x + dx, y + dy, scale, ground)
        radius = RADIUS[scene.size] * float(np.exp(log_scale))
        frames.append(light.shine(draw_icon(scene.thing, scene.color, radius, jitter, look)))
    return Video(np.stack(frames), FPS)


def _draw_look(rng: np.random.Generator, mirrors: bool) -> Look:
    angle = rng.uniform(-MAX_ANGLE, MAX_ANGLE) if rng.random() < 0.6 else 0.0
    style = str(rng.choice(STYLES, p=(0.5, 0.2, 0.15, 0.15)))
    return Look(float(angle), mirrors and bool(rng.random() < 0.5), style)


class Light:
    """Light of a picture: brightness, gamma, tint, and darker corners.

    Args:
        gains: of the channels, shape (3,).
        gamma: exponent of values from 0 to 1.
        vignette: how much darker the corners are, from 0 to 1.
    """

    def __init__(self, gains: NDArray[np.float64], gamma: float, vignette: float) -> None:
        self.gains, self.gamma, self.vignette = gains, gamma, vignette

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Light:
        """Draw some light."""
        if rng.random() < 0.25:
            return cls(np.ones(3), 1.0, 0.0)
        brightness = np.exp(rng.uniform(*np.log(BRIGHTNESS)))
        tint = 1 + rng.uniform(-TINT, TINT, 3)
        gamma = np.exp(rng.uniform(*np.log(GAMMA)))
        return cls(brightness * tint, float(gamma), rng.uniform(0, 0.5) * (rng.random() < 0.4))

    def shine(self, pixels: Pixels) -> Pixels:
        """Show pixels (H, W, 3) under this light."""
        ramp = np.linspace(-1, 1, len(pixels))
        corners = 1 - self.vignette * 0.5 * (ramp[:, None] ** 2 + ramp**2)  # (H, W)
        values = (pixels / 255.0) ** self.gamma * self.gains * corners[..., None]
        return np.asarray((255 * values + 0.5).clip(0, 255).astype(np.uint8))


def draw_ground(rng: np.random.Generator, size: int = IMAGE_SIZE) -> Planes:
    """Draw a ground of shape (3, size, size), values 0 to 255.

    Paper, a plain colour, a gradient of two, a table's edge, or a rough surface. Colours are paler
    or darker than those of things, so that a red ball on a red ground is still to be seen.
    """
    ramp = np.linspace(0, 1, size)
    first, second = _ground_colour(rng), _ground_colour(rng)
    kind = rng.choice(("plain", "gradient", "edge", "rough"))
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * (ramp - 0.5) + np.sin(angle) * (ramp[:, None] - 0.5)  # (H, W)
    if kind == "gradient":
        share = (across + 0.7) / 1.4
    elif kind == "edge":
        share = np.clip(0.5 + (across - rng.uniform(-0.3, 0.3)) * size / 2, 0, 1)
    elif kind == "rough":
        share = _smooth_noise(rng, size) * rng.uniform(0.1, 0.5)
    else:
        share = np.zeros((size, size))
    ground = first[:, None, None] * (1 - share) + second[:, None, None] * share
    return np.asarray(ground, np.float32)


def _ground_colour(rng: np.random.Generator) -> NDArray[np.float64]:
    """A colour (3,) that no thing has: pale, dull or dark."""
    hue = rng.random()
    kind = rng.choice(("pale", "dull", "dark", "grey"), p=(0.4, 0.2, 0.2, 0.2))
    saturation, value = {
        "pale": (rng.uniform(0, 0.3), rng.uniform(0.8, 1.0)),
        "dull": (rng.uniform(0.1, 0.45), rng.uniform(0.4, 0.8)),
        "dark": (rng.uniform(0, 0.6), rng.uniform(0.12, 0.32)),
        "grey": (0.0, rng.uniform(0.1, 0.95)),
    }[str(kind)]
    return 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def _smooth_noise(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Noise (size, size) from 0 to 1 of two octaves, blown up from coarse grids."""
    total = np.zeros((size, size))
    for cells, level in ((6, 0.6), (16, 0.4)):
        coarse = rng.random((cells + 1, cells + 1))
        ticks = np.linspace(0, cells, size, endpoint=False)
        low, part = ticks.astype(int), ticks % 1
        rows = coarse[low] * (1 - part[:, None]) + coarse[low + 1] * part[:, None]
        total += level * (rows[:, low] * (1 - part) + rows[:, low + 1] * part)
    return total


def cast_shadow(
    ground: Planes, x: float, y: float, radius: float, rng: np.random.Generator
) -> Planes:
    """Cast the soft shadow of a thing on its ground, in two of three pictures.

    Args:
        ground: of shape (3, H, W).
        x: of the thing, to the right of the middle, as a share of the frame.
        y: above the middle.
        radius: half its width, as a share of the frame.
        rng: where the light comes from, and how hard it is.
    """
    if rng.random() < 0.33:
        return ground
    ticks = (np.arange(ground.shape[-1]) + 0.5) / ground.shape[-1]
    dx, dy = rng.uniform(-0.5, 0.5) * radius, -rng.uniform(0.2, 0.7) * radius
    along = (ticks - 0.5 - x - dx) / (radius * rng.uniform(0.8, 1.1))
    up = (0.5 - ticks - y - dy) / (radius * rng.uniform(0.4, 1.0))
    distance = np.sqrt(along**2 + up[:, None] ** 2)
    depth = rng.uniform(0.2, 0.55) * np.clip((1.2 - distance) / rng.uniform(0.2, 0.8), 0, 1)
    return np.asarray(ground * (1 - depth), np.float32)
