"""Scenes as IMU recordings: gravity, the trajectory's acceleration, and a hand's sway."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymodal.toybox.scene import Scene
from anymodal.toybox.trajectory import AMPLITUDE, LOG_SCALES, SECONDS, trajectory

IMU_RATE = 200
"""Samples per second."""
GRAVITY = 9.81
METRES = {"big": 1.6, "small": 0.7}
"""Metres that one frame's width of the trajectory stands for, by the scene's size."""
# Scaled along z, so that motion toward the viewer is as strong as motion across the frame.
_AXES = np.array([1.0, 1.0, 2 * AMPLITUDE / (LOG_SCALES[1] - LOG_SCALES[0])])
_SWAY = 0.25
"""Radians of rotation per metre of travel."""


def kinematics(
    motion: str, tempo: str, rate: float = IMU_RATE, seconds: float = SECONDS
) -> np.ndarray:
    """Acceleration and velocity along a trajectory, before they are scaled by the size.

    Returns:
        Shape (2, 3, T): m/s^2 and m/s along x (right), y (up) and z (toward the viewer).
    """
    steps = round(rate * seconds)
    t = np.arange(-1, steps + 1) / rate
    positions = (trajectory(motion, tempo, t) * _AXES).T  # (3, T + 2)
    # Differences of the same trajectory that videos show, so that both modalities agree exactly.
    acceleration = (positions[:, 2:] - 2 * positions[:, 1:-1] + positions[:, :-2]) * rate**2
    velocity = (positions[:, 2:] - positions[:, :-2]) * (rate / 2)
    return np.stack([acceleration, velocity])


def _random_tilt(rng: np.random.Generator) -> NDArray[np.float64]:
    """A small random rotation matrix: pitch and roll up to 5 degrees, yaw up to 2."""
    pitch, yaw, roll = rng.uniform(-1, 1, 3) * np.radians([5, 2, 5])
    cp, sp, cy, sy, cr, sr = (f(a) for a in (pitch, yaw, roll) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_x @ about_y @ about_z)


def render_imu(
    scene: Scene, rng: np.random.Generator, rate: float = IMU_RATE, seconds: float = SECONDS
) -> NDArray[np.float32]:
    """Render a scene as an IMU recording: its size is the strength, its tempo the pace.

    At rest the accelerometer reads gravity along y. The hand is tilted a little, sways with the
    velocity, and its sensors have noise and bias.

    Returns:
        Shape (6, rate * seconds): acceleration along x, y and z in m/s^2, angular velocity about
        x, y and z in rad/s.
    """
    acceleration, velocity = (
        kinematics(scene.motion, scene.tempo, rate, seconds)
        * METRES[scene.size]
        * rng.uniform(0.92, 1.08)
    )
    vx, vy, vz = velocity
    sway = _SWAY * np.stack([-vy + 0.4 * vz, vx, -0.4 * vx])  # (3, T)
    rotation = _random_tilt(rng)
    # An accelerometer measures specific force: at rest it reads +g, in free fall nothing.
    force = rotation @ (acceleration + np.array([[0.0], [GRAVITY], [0.0]]))
    signal = np.concatenate([force, rotation @ sway])  # (6, T)
    noise, bias = np.array([[0.06]] * 3 + [[0.01]] * 3), np.array([[0.08]] * 3 + [[0.015]] * 3)
    signal += noise * rng.standard_normal(signal.shape) + rng.uniform(-bias, bias)
    return signal.astype(np.float32)
