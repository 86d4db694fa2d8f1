"""The twelve icons, as layers of signed distance functions.

An icon lives in the square from -1 to 1, x to the right and y up. Each function takes x of shape
(1, W) and y of shape (H, 1), so that sums over both axes are the only full-size work, and returns
layers from back to front. Distances are in icon units, negative inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]
Layer = tuple[Grid, str]
"""A signed distance of shape (H, W) and the paint of its inside.

`fill` is the scene's colour with an outline, `pane` is white with an outline, `shade` is the
outline's colour, `light` is white and `dark` is nearly black.
"""
Point = tuple[float, float]


def _disc(x: Grid, y: Grid, cx: float, cy: float, r: float) -> Grid:
    distance: Grid = np.sqrt(np.square(x - cx) + np.square(y - cy)) - r
    return distance


def _oval(x: Grid, y: Grid, cx: float, cy: float, rx: float, ry: float) -> Grid:
    """First-order distance to an ellipse: its level divided by the level's gradient."""
    level = np.sqrt(np.square((x - cx) / rx) + np.square((y - cy) / ry))
    slope = np.sqrt(np.square((x - cx) / rx**2) + np.square((y - cy) / ry**2))
    distance: Grid = level * (level - 1) / (slope + 1e-6)
    return distance


def _box(x: Grid, y: Grid, cx: float, cy: float, hx: float, hy: float, r: float = 0.0) -> Grid:
    """A box of half-widths hx and hy with corners of radius r."""
    qx, qy = np.abs(x - cx) - (hx - r), np.abs(y - cy) - (hy - r)
    outside = np.sqrt(np.square(np.maximum(qx, 0)) + np.square(np.maximum(qy, 0)))
    distance: Grid = outside + np.minimum(np.maximum(qx, qy), 0) - r
    return distance


def _stroke(x: Grid, y: Grid, a: Point, b: Point, r: float, r_end: float | None = None) -> Grid:
    """A line from a to b with round ends, its radius going from r to r_end."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    x, y = x - a[0], y - a[1]
    along = np.clip((x * dx + y * dy) * (1 / (dx * dx + dy * dy)), 0, 1)
    width = r if r_end is None else r + (r_end - r) * along
    distance: Grid = np.sqrt(np.square(x - dx * along) + np.square(y - dy * along)) - width
    return distance


def _polygon(x: Grid, y: Grid, points: Sequence[Point], r: float = 0.0) -> Grid:
    """A convex polygon, its points anticlockwise, grown by r."""
    inside: Grid = np.full(np.broadcast(x, y).shape, -np.inf, np.float32)
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        length = float(np.hypot(bx - ax, by - ay))
        nx, ny = (by - ay) / length, (ax - bx) / length
        np.maximum(inside, (x - ax) * nx + (y - ay) * ny, out=inside)
    inside -= r
    return inside


def _union(*parts: Grid) -> Grid:
    union = parts[0]
    for part in parts[1:]:
        union = np.minimum(union, part)
    return union


def _melt(a: Grid, b: Grid, k: float) -> Grid:
    """A union with a seam rounded over a width of k (polynomial smooth minimum)."""
    near = np.maximum(k - np.abs(a - b), 0)
    union: Grid = np.minimum(a, b) - np.square(near) * (0.25 / k)
    return union


def _ball(x: Grid, y: Grid) -> list[Layer]:
    ball = _disc(x, y, 0, 0, 0.95)
    left, right = _disc(x, y, -1.25, 0, 0.9), _disc(x, y, 1.25, 0, 0.9)
    seams = _union(np.abs(x + 0 * y), np.abs(y + 0 * x), np.abs(left), np.abs(right)) - 0.045
    shine = _oval(x, y, -0.36, 0.5, 0.2, 0.13)
    return [(ball, "fill"), (np.maximum(seams, ball), "shade"), (shine, "light")]


def _bell(x: Grid, y: Grid) -> list[Layer]:
    dome = _disc(x, y, 0, 0.26, 0.46)
    skirt = _polygon(x, y, [(0.46, 0.3), (-0.46, 0.3), (-0.6, -0.4), (0.6, -0.4)])
    rim = _box(x, y, 0, -0.5, 0.85, 0.14, 0.13)
    body = _melt(np.minimum(dome, skirt), rim, 0.3)
    clapper, knob = _disc(x, y, 0, -0.72, 0.22), _disc(x, y, 0, 0.78, 0.17)
    shine = _stroke(x, y, (-0.22, 0.42), (-0.3, -0.12), 0.06)
    return [(clapper, "dark"), (knob, "fill"), (body, "fill"), (shine, "light")]


def _bird(x: Grid, y: Grid) -> list[Layer]:
    tail = _polygon(x, y, [(-0.35, -0.2), (-0.9, 0.14), (-0.95, -0.3)], 0.05)
    body = _oval(x, y, -0.05, -0.2, 0.6, 0.33)
    head = _disc(x, y, 0.48, 0.1, 0.3)
    beak = _polygon(x, y, [(0.7, 0.2), (0.7, -0.02), (0.98, 0.06)], 0.03)
    wing = _polygon(x, y, [(0.2, -0.2), (-0.5, 0.85), (-0.34, -0.12)], 0.09)
    eye = _disc(x, y, 0.54, 0.17, 0.085)
    body_and_tail = _union(tail, _melt(body, head, 0.15))
    return [(beak, "dark"), (body_and_tail, "fill"), (wing, "fill"), (eye, "dark")]


def _bee(x: Grid, y: Grid) -> list[Layer]:
    back, front = _oval(x, y, -0.28, 0.45, 0.28, 0.42), _oval(x, y, 0.18, 0.45, 0.28, 0.42)
    body = _oval(x, y, -0.02, -0.24, 0.84, 0.52)
    sting = _polygon(x, y, [(-0.75, -0.1), (-1.0, -0.24), (-0.75, -0.38)], 0.02)
    stripes = np.maximum(np.minimum(np.abs(x + 0.42), np.abs(x + 0.02)) - 0.11, body + 0.03)
    feeler = _stroke(x, y, (0.5, 0.08), (0.72, 0.48), 0.055)
    eye = _disc(x, y, 0.5, -0.14, 0.1)
    wings: list[Layer] = [(back, "pane"), (front, "pane")]
    return [*wings, (np.minimum(sting, feeler), "dark"), (body, "fill"), (stripes, "dark"),
            (eye, "dark")]  # fmt: skip


def _clock(x: Grid, y: Grid) -> list[Layer]:
    across = np.abs(x)
    bells = _disc(across, y, 0.5, 0.66, 0.28)
    feet = _stroke(across, y, (0.45, -0.7), (0.62, -0.92), 0.09)
    case, face = _disc(x, y, 0, -0.08, 0.84), _disc(x, y, 0, -0.08, 0.58)
    hands = np.minimum(
        _stroke(x, y, (0, -0.08), (0, 0.3), 0.065), _stroke(x, y, (0, -0.08), (0.27, -0.2), 0.065)
    )
    return [(feet, "dark"), (bells, "fill"), (case, "fill"), (face, "light"), (hands, "dark")]


def _drum(x: Grid, y: Grid) -> list[Layer]:
    across = np.abs(x)
    sticks = np.minimum(
        _stroke(across, y, (0.85, 0.86), (0.2, 0.25), 0.055), _disc(across, y, 0.85, 0.86, 0.13)
    )
    body = np.minimum(_box(x, y, 0, -0.28, 0.78, 0.42), _oval(x, y, 0, -0.68, 0.78, 0.26))
    skin = _oval(x, y, 0, 0.14, 0.78, 0.25)
    lace = np.minimum(
        _stroke(across, y, (0.72, -0.08), (0.38, -0.72), 0.05),
        _stroke(across, y, (0.38, -0.72), (0.0, -0.18), 0.05),
    )
    return [(body, "fill"), (np.maximum(lace, body + 0.1), "light"), (skin, "pane"),
            (sticks, "dark")]  # fmt: skip


def _duck(x: Grid, y: Grid) -> list[Layer]:
    body = _oval(x, y, -0.08, -0.42, 0.82, 0.5)
    tail = _polygon(x, y, [(-0.5, -0.3), (-0.86, 0.12), (-0.84, -0.45)], 0.07)
    head = _disc(x, y, 0.3, 0.42, 0.46)
    bill = _oval(x, y, 0.8, 0.3, 0.24, 0.13)
    wing = np.maximum(_oval(x, y, -0.3, -0.4, 0.42, 0.26), y - -0.28)
    eye = _disc(x, y, 0.42, 0.54, 0.1)
    return [(bill, "dark"), (_union(_melt(body, head, 0.25), tail), "fill"), (wing, "shade"),
            (eye, "dark")]  # fmt: skip


def _flute(x: Grid, y: Grid) -> list[Layer]:
    u, v = (x + y) * 0.70711, (y - x) * 0.70711
    tube = _box(u, v, 0, 0, 1.12, 0.23, 0.07)
    rings = np.maximum(np.minimum(np.abs(u - 0.4), np.abs(u + 0.88)) - 0.06, tube)
    cell = np.abs(u + 0.36) - 0.15
    holes = np.sqrt(np.square(np.abs(cell) - 0.12) + np.square(v)) - 0.08
    lip = _oval(u, v, 0.74, 0, 0.14, 0.09)
    note = _union(
        _oval(x, y, -0.55, 0.36, 0.17, 0.13),
        _stroke(x, y, (-0.42, 0.38), (-0.42, 0.86), 0.05),
        _stroke(x, y, (-0.42, 0.84), (-0.2, 0.66), 0.06),
    )
    return [(note, "dark"), (tube, "fill"), (rings, "shade"), (np.minimum(holes, lip), "dark")]


def _heart(x: Grid, y: Grid) -> list[Layer]:
    lobes = _disc(np.abs(x), y, 0.44, 0.28, 0.5)
    points = [(0.0, -0.92), (0.8, -0.06), (0.44, 0.3), (-0.44, 0.3), (-0.8, -0.06)]
    heart = _melt(lobes, _polygon(x, y, points), 0.06)
    return [(heart, "fill"), (_oval(x, y, -0.46, 0.42, 0.18, 0.13), "light")]


def _rain(x: Grid, y: Grid) -> list[Layer]:
    puffs = _union(
        _disc(x, y, -0.5, 0.2, 0.38), _disc(x, y, 0.02, 0.42, 0.48), _disc(x, y, 0.54, 0.22, 0.36)
    )
    cloud = np.minimum(puffs, _box(x, y, 0, 0.03, 0.9, 0.23, 0.22))
    drops = _union(
        *(_stroke(x, y, (cx + 0.1, cy + 0.3), (cx, cy), 0.05, 0.15)
          for cx, cy in ((-0.58, -0.66), (-0.02, -0.82), (0.54, -0.66)))
    )  # fmt: skip
    return [(drops, "fill"), (cloud, "fill")]


def _siren(x: Grid, y: Grid) -> list[Layer]:
    across = np.abs(x)
    dome = _box(x, y, 0, -0.22, 0.5, 0.6, 0.48)
    base = _box(x, y, 0, -0.74, 0.74, 0.19, 0.08)
    rays = _union(
        _stroke(x, y, (0, 0.66), (0, 0.88), 0.11),
        _stroke(across, y, (0.58, 0.44), (0.76, 0.6), 0.11),
        _stroke(across, y, (0.74, -0.06), (0.92, -0.01), 0.11),
    )
    shine = _stroke(x, y, (-0.24, 0.02), (-0.24, -0.34), 0.065)
    return [(rays, "fill"), (dome, "fill"), (base, "dark"), (shine, "light")]


def _car(x: Grid, y: Grid) -> list[Layer]:
    across = np.abs(x)
    hull = _box(x, y, 0, -0.16, 0.97, 0.3, 0.2)
    cabin = _polygon(x, y, [(0.58, 0.0), (0.3, 0.5), (-0.4, 0.5), (-0.62, 0.0)], 0.1)
    panes = _polygon(x, y, [(0.46, 0.1), (0.24, 0.44), (-0.34, 0.44), (-0.5, 0.1)], 0.02)
    panes = np.maximum(panes, 0.06 - np.abs(x + 0.04))
    wheels, hubs = _disc(across, y, 0.52, -0.46, 0.28), _disc(across, y, 0.52, -0.46, 0.11)
    return [(np.minimum(cabin, hull), "fill"), (panes, "light"), (wheels, "dark"),
            (hubs, "light")]  # fmt: skip


ICONS: dict[str, Callable[[Grid, Grid], list[Layer]]] = {
    "ball": _ball, "bell": _bell, "bird": _bird, "bee": _bee, "clock": _clock, "drum": _drum,
    "duck": _duck, "flute": _flute, "heart": _heart, "rain": _rain, "siren": _siren, "car": _car,
}  # fmt: skip
"""The layers of every thing's icon."""
