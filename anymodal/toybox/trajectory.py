"""The path of a motion: one function, seen by the video and felt by the IMU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SECONDS = 2.0
"""How long every movement lasts."""
REACH = 0.16
"""How far a figure goes from its middle, as a fraction of the frame."""
NEARER = (-0.4, 0.3)
"""The log scale of a figure that comes toward the viewer, before and after."""
TRAVEL_SECONDS = {"slow": SECONDS, "fast": 0.9}
CYCLES_PER_SECOND = {"slow": 0.5, "fast": 1.0}

_DIRECTIONS = {"left": (0, -1.0), "right": (0, 1.0), "up": (1, 1.0), "down": (1, -1.0)}


def _eased(t: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """A travel from 0 to 1 of minimum jerk (Flash and Hogan 1985, equation 4), then rest."""
    u = np.clip(t / seconds, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u**2)


def path(motion: str, tempo: str, t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a figure is at times t.

    Directed motions are one eased travel that starts at once; `shake` is a cosine sideways and
    `bounce` one upwards: both start at rest, as a sine felt by an IMU would be hard to tell from
    one travel. All stay around the middle, so a big figure stays in frame.

    Args:
        t: seconds, shape (T,).

    Returns:
        Shape (T, 3): x to the right and y up, as fractions of the frame from its middle, and the
        log of the scale, which grows as the figure comes nearer.

    Raises:
        ValueError: if the motion or the tempo is none of the Toybox's.
    """
    if tempo not in TRAVEL_SECONDS:
        raise ValueError(f"tempo={tempo!r} is unknown; choose one of {', '.join(TRAVEL_SECONDS)}")
    t = np.asarray(t, dtype=np.float64)
    place = np.zeros((len(t), 3))
    turn = 2 * np.pi * CYCLES_PER_SECOND[tempo] * t
    if motion in _DIRECTIONS:
        axis, sign = _DIRECTIONS[motion]
        place[:, axis] = sign * REACH * (2 * _eased(t, TRAVEL_SECONDS[tempo]) - 1)
    elif motion == "toward":
        place[:, 2] = NEARER[0] + (NEARER[1] - NEARER[0]) * _eased(t, TRAVEL_SECONDS[tempo])
    elif motion == "shake":
        place[:, 0] = -REACH * np.cos(turn)
    elif motion == "bounce":
        place[:, 1] = -REACH * np.cos(turn)
    elif motion != "still":
        known = ", ".join(["still", *_DIRECTIONS, "toward", "shake", "bounce"])
        raise ValueError(f"motion={motion!r} is unknown; choose one of {known}")
    return place
