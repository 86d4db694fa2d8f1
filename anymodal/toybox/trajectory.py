"""The trajectory of a motion: one function, rendered by videos and measured by IMU recordings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SECONDS = 2.0
"""Duration of every motion."""
AMPLITUDE = 0.16
"""The largest displacement from the middle, as a fraction of the frame."""
LOG_SCALES = (-0.4, 0.3)
"""The log scale before and after a motion toward the viewer."""
TRAVEL_SECONDS = {"slow": SECONDS, "fast": 0.9}
CYCLES_PER_SECOND = {"slow": 0.5, "fast": 1.0}

_DIRECTIONS = {"left": (0, -1.0), "right": (0, 1.0), "up": (1, 1.0), "down": (1, -1.0)}
"""Axis and sign of each directed motion."""


def _minimum_jerk(t: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Minimum-jerk progress from 0 to 1, then rest (Flash and Hogan 1985, equation 4)."""
    u = np.clip(t / seconds, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u**2)


def trajectory(
    motion: str, tempo: str, t: NDArray[np.float64], from_middle: bool = False
) -> NDArray[np.float64]:
    """Position and log scale of an icon at times t.

    Directed motions are one minimum-jerk travel that starts at once; `shake` is a cosine sideways
    and `bounce` one upwards. All stay around the middle, so that a big icon stays in the frame.

    Args:
        t: seconds, shape (T,).
        from_middle: begin in the middle, at a scale of one, instead of around it.

    Returns:
        Shape (T, 3): x to the right and y up, as fractions of the frame from its middle, and the
        log of the scale, which grows as the icon comes nearer.

    Raises:
        ValueError: if the motion or the tempo is none of the Toybox's.
    """
    if tempo not in TRAVEL_SECONDS:
        raise ValueError(f"tempo={tempo!r} is unknown; choose one of {', '.join(TRAVEL_SECONDS)}")
    t = np.asarray(t, dtype=np.float64)
    positions = np.zeros((len(t), 3))
    # A cosine starts at rest; the onset of a sine would read as one travel in an accelerometer.
    oscillation = -AMPLITUDE * np.cos(2 * np.pi * CYCLES_PER_SECOND[tempo] * t)
    if motion in _DIRECTIONS:
        axis, sign = _DIRECTIONS[motion]
        progress = _minimum_jerk(t, TRAVEL_SECONDS[tempo])
        positions[:, axis] = sign * AMPLITUDE * (2 * progress - 1)
    elif motion == "toward":
        first, last = LOG_SCALES
        positions[:, 2] = first + (last - first) * _minimum_jerk(t, TRAVEL_SECONDS[tempo])
    elif motion == "shake":
        positions[:, 0] = oscillation
    elif motion == "bounce":
        positions[:, 1] = oscillation
    elif motion != "still":
        motions = ", ".join(["still", *_DIRECTIONS, "toward", "shake", "bounce"])
        raise ValueError(f"motion={motion!r} is unknown; choose one of {motions}")
    # Where they all begin is where they are at no time at all.
    return positions - trajectory(motion, tempo, np.zeros(1)) if from_middle else positions
