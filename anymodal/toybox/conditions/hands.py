"""IMU recordings of a phone that is held in any way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymodal.media import IMU, Media
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene

MAX_TURN = float(np.radians(10))
"""The largest turn about the vertical: gravity tells how a phone is tilted, nothing tells north."""


def hold_any_way(scene: Scene, rng: np.random.Generator) -> Media:
    """Feel a scene by a phone that is tilted in any direction, in a hand that trembles."""
    clean = render_scene(scene, "imu", rng)
    assert isinstance(clean, IMU)
    tilt = rng.uniform(0, np.pi) if rng.random() < 0.5 else rng.uniform(0, np.pi / 3)
    rotation = rotate_up(tilt, rng.uniform(0, 2 * np.pi)) @ _turn(rng.uniform(-1, 1) * MAX_TURN)
    samples = np.concatenate([rotation @ clean.samples[:3], rotation @ clean.samples[3:]])
    times = np.arange(samples.shape[1]) / clean.rate
    tremor = rng.uniform(0, 0.12, (6, 1)) * np.array([[1.0]] * 3 + [[0.2]] * 3)
    phases = rng.uniform(0, 2 * np.pi, (6, 1))
    samples = samples + tremor * np.sin(2 * np.pi * rng.uniform(7, 12) * times + phases)
    return IMU(samples.astype(np.float32), clean.rate)


def rotate_up(tilt: float, direction: float) -> NDArray[np.float64]:
    """The smallest rotation (3, 3) that tilts the vertical axis, y, in a direction of x and z."""
    axis = np.array([np.cos(direction), 0.0, np.sin(direction)])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    matrix = np.eye(3) + np.sin(tilt) * cross + (1 - np.cos(tilt)) * cross @ cross
    return np.asarray(matrix)


def _turn(angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
