"""Candidates that the oracles for videos and IMU recordings share."""

from __future__ import annotations

import math
from collections.abc import Mapping

from anymodal.toybox.scene import MOTIONS, TEMPOS

MOVES = [(motion, tempo) for motion in MOTIONS if motion != "still" for tempo in TEMPOS]
"""All pairs of a motion and a tempo. Rest is no candidate: it is what no move explains."""


def nearest_size(value: float, values: Mapping[str, float]) -> str:
    """The size, small or big, whose value is nearest to a measurement, on a log scale."""
    return "big" if value > math.sqrt(values["small"] * values["big"]) else "small"
