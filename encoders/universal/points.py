"""Points to groups of neighbours, as PointNet++ makes them (Qi et al. 2017, section 3.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHANNELS = 9
"""Of a point in its group: x, y, z from the centre; the centre's own; red, green, blue."""


def group_points(
    points: NDArray[np.float32],
    colors: NDArray[np.uint8] | None,
    *,
    most: int,
    groups: int,
    neighbours: int,
) -> NDArray[np.float32]:
    """Groups of the nearest points around centres that lie far apart.

    A cloud is a set: its points are put into an order of their own first, so that the one they
    come in changes nothing, to the bit. Then it is thinned to `most` points, always the same, and
    moved and scaled into the unit sphere. A cloud of fewer points than asked for repeats them.

    Shapes: points (n, 3); colors (n, 3), from 0 to 255, or None, which counts as grey; the result
    (groups, neighbours, `CHANNELS`), the nearest first. Colours are from -0.5 to 0.5.
    """
    # SciPy's trees are needed by clouds alone.
    from scipy.spatial import cKDTree

    shades = np.zeros(points.shape) if colors is None else colors / 255.0 - 0.5
    rows = np.concatenate([points.astype(np.float64) + 0.0, shades], axis=1)  # -0.0 becomes 0.0
    # By x, then y, then z, then colour: lexsort's last key counts first.
    rows = rows[np.lexsort(rows.T[::-1])]
    if len(rows) > most:
        rows = rows[np.random.default_rng(0).choice(len(rows), most, replace=False)]
    places = rows[:, :3] - rows[:, :3].mean(axis=0)
    size = float(np.linalg.norm(places, axis=1).max())
    if size > 1e-9 * np.abs(rows[:, :3]).max():  # else they are one point, and its rounding
        places /= size
    centres = furthest(places, min(groups, len(rows)))
    _, near = cKDTree(places).query(places[centres], k=np.arange(1, min(neighbours, len(rows)) + 1))
    near = np.resize(near.T, (neighbours, len(centres))).T  # (centres, neighbours), repeated
    middle = np.broadcast_to(places[centres, None], (*near.shape, 3))
    values = np.concatenate([places[near] - middle, middle, rows[near, 3:]], axis=2)
    return np.resize(values, (groups, *values.shape[1:])).astype(np.float32)


def furthest(places: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Furthest point sampling: indices (count,), each of the point furthest from those before it.

    The first is the one furthest from the origin, and none is taken twice (Eldar et al. 1997, "The
    farthest point strategy for progressive image sampling").
    """
    x, y, z = np.ascontiguousarray(places.T)  # several times as fast as rows
    indices = np.empty(count, dtype=np.int64)
    indices[0] = (x * x + y * y + z * z).argmax()
    distances = np.full(len(places), np.inf)
    for index in range(1, count):
        last = indices[index - 1]
        along, across, up = x - x[last], y - y[last], z - z[last]
        np.minimum(distances, along * along + across * across + up * up, out=distances)
        distances[last] = -1.0  # never again, not even where all others coincide with it
        indices[index] = distances.argmax()
    return indices
