"""Scenes as images and videos: an icon on a light background, at rest or along its trajectory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anymodal.toybox.renderers.icons import ICONS
from anymodal.toybox.scene import Scene
from anymodal.toybox.trajectory import SECONDS, trajectory

Pixels = NDArray[np.uint8]
Planes = NDArray[np.float32]

IMAGE_SIZE = 64
NUM_FRAMES = 8
FPS = 4
RADIUS = {"big": 0.3, "small": 0.165}
"""Half an icon's width, as a fraction of the frame."""
OUTLINE = 0.09
"""Width of an outline in icon units."""

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (228, 38, 38),
    "orange": (250, 128, 20),
    "yellow": (250, 218, 40),
    "green": (52, 176, 74),
    "cyan": (40, 205, 222),
    "blue": (44, 84, 228),
    "purple": (140, 60, 205),
    "pink": (250, 112, 184),
}
"""Fill colors, at least 20 degrees of hue apart, so that the oracle tells them by hue alone."""
_DARK = np.array([46, 40, 52], np.float32).reshape(3, 1, 1)
_LIGHT = np.full((3, 1, 1), 252, np.float32)
STYLES = ("shaded", "flat", "outline", "pencil")
"""Ways of drawing: a fill with a gradient, one without, lines alone, and hatching."""
_HATCHING = 5.0
"""Strokes of a pencil along an icon unit."""


@dataclass(frozen=True)
class Look:
    """Angle, side and style of an icon; the default is the Toybox's own.

    Args:
        angle: turned counter-clockwise, in radians.
        mirrored: left and right exchanged.
        style: one of `STYLES`.
    """

    angle: float = 0.0
    mirrored: bool = False
    style: str = "shaded"


PLAIN = Look()


@dataclass(frozen=True)
class Jitter:
    """Random variation of one rendering: placement, scale and background.

    Args:
        x: offset to the right, as a fraction of the frame.
        y: offset up, as a fraction of the frame.
        scale: factor on the icon's radius.
        background: shape (3, H, W), values 0 to 255.
    """

    x: float
    y: float
    scale: float
    background: Planes


def _background(rng: np.random.Generator, size: int) -> Planes:
    """A light, faintly tinted background with a faint gradient, shape (3, H, W)."""
    base = rng.uniform(228, 244) + rng.uniform(-6, 6, (3, 1, 1))
    slope = rng.uniform(-5, 5, 2)
    ramp = np.linspace(-1, 1, size)
    plane = base + slope[0] * ramp[:, None] + slope[1] * ramp  # (3, H, W)
    return np.asarray(plane, np.float32)


def _sample_jitter(rng: np.random.Generator, size: int, *, offset: float, scale: float) -> Jitter:
    x, y = rng.uniform(-offset, offset, 2)
    return Jitter(x, y, rng.uniform(1 - scale, 1 + scale), _background(rng, size))


def draw_icon(thing: str, color: str, radius: float, jitter: Jitter, look: Look = PLAIN) -> Pixels:
    """Draw a thing's icon over a background.

    Args:
        thing: of the Toybox.
        color: of the Toybox.
        radius: half the icon's width, as a fraction of the frame, before the jitter's scale.
        jitter: where, how large, and on which background.
        look: how.

    Returns:
        Shape (H, W, 3).
    """
    image = jitter.background.copy()
    size = image.shape[-1]
    unit = radius * jitter.scale * size  # pixels per icon unit
    cx, cy = (0.5 + jitter.x) * size, (0.5 - jitter.y) * size
    # Only the icon's surroundings are painted: beyond this many pixels all is background.
    reach = (1.12 if look.angle == 0 else 1.5) * unit + 1  # a turned square's corners go further
    columns = slice(max(int(cx - reach), 0), max(int(cx + reach) + 1, 0))
    rows = slice(max(int(cy - reach), 0), max(int(cy + reach) + 1, 0))
    ticks = np.arange(size, dtype=np.float32) + 0.5
    x = ((ticks[columns] - cx) / unit)[None]  # (1, w)
    y = ((cy - ticks[rows]) / unit)[:, None]  # (h, 1)
    if look.angle:
        cos, sin = np.cos(look.angle), np.sin(look.angle)
        x, y = x * cos + y * sin, y * cos - x * sin  # (h, w)
    if look.mirrored:
        x = -x
    _paint(image[:, rows, columns], thing, PALETTE[color], x, y, unit, look.style)
    return np.ascontiguousarray((image + 0.5).clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def _paint(
    image: Planes,
    thing: str,
    color: tuple[int, int, int],
    x: Planes,
    y: Planes,
    unit: float,
    style: str,
) -> None:
    """Paint an icon's layers over the image, in place, with antialiased edges."""
    fill = np.array(color, np.float32).reshape(3, 1, 1)
    shade = fill * 0.55 if style in ("shaded", "flat") else fill
    inside = _inside(fill, image, x, y, style)
    paints = {"fill": inside, "pane": _LIGHT, "shade": shade, "light": _LIGHT, "dark": _DARK}
    if style == "outline":
        paints["pane"] = paints["light"] = inside

    def cover(distance: Planes, paint: Planes) -> None:
        alpha = np.clip(0.5 - distance * unit, 0, 1)  # a signed distance in pixels, as coverage
        image[...] += alpha * (paint - image)

    for distance, kind in ICONS[thing](x.astype(np.float32), y.astype(np.float32)):
        has_outline = kind in ("fill", "pane")
        if has_outline:
            cover(distance, shade)
        cover(distance + OUTLINE if has_outline else distance, paints[kind])


def _inside(fill: Planes, image: Planes, x: Planes, y: Planes, style: str) -> Planes:
    """Paint of a fill, of shape (3, h, w) or (3, 1, 1)."""
    if style == "flat":
        return fill
    if style == "outline":
        return image.copy()
    if style == "pencil":  # slanting strokes, with the paper between them
        stroke = 0.5 + 0.5 * np.sin(2 * np.pi * _HATCHING * (x + y))
        return np.asarray(image + (0.45 + 0.4 * stroke) * (fill - image), np.float32)
    # Mixing with white, or away from it, shades the fill without changing the hue to be read.
    return np.asarray(fill + (0.16 * y - 0.07 * x) * (_LIGHT - fill), np.float32)


def render_image(scene: Scene, rng: np.random.Generator, size: int = IMAGE_SIZE) -> Pixels:
    """Render a scene as an image of shape (size, size, 3), with jitter."""
    jitter = _sample_jitter(rng, size, offset=0.08, scale=0.06)
    return draw_icon(scene.thing, scene.color, RADIUS[scene.size], jitter)


def render_video(
    scene: Scene,
    rng: np.random.Generator,
    frames: int = NUM_FRAMES,
    fps: float = FPS,
    size: int = IMAGE_SIZE,
    from_image: bool = False,
) -> Pixels:
    """Render a scene along its trajectory, with one jitter for all frames; frame k is at k / fps s.

    With `from_image` the first frame is what `render_image` gives, and things move on from there.

    Returns:
        Shape (frames, size, size, 3).
    """
    offset, scale = (0.08, 0.06) if from_image else (0.02, 0.04)
    jitter = _sample_jitter(rng, size, offset=offset, scale=scale)
    steps = trajectory(scene.motion, scene.tempo, np.arange(frames) / fps, from_image)
    images = []
    for x, y, log_scale in steps:
        frame_jitter = Jitter(jitter.x + x, jitter.y + y, jitter.scale, jitter.background)
        radius = RADIUS[scene.size] * np.exp(log_scale)
        images.append(draw_icon(scene.thing, scene.color, radius, frame_jitter))
    return np.stack(images)


assert NUM_FRAMES == SECONDS * FPS
