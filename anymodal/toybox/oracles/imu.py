"""Oracle for IMU recordings: matched filters, one for each motion and tempo."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anymodal.toybox.oracles.common import MOVES, nearest_size
from anymodal.toybox.renderers.imu import METRES, kinematics


@lru_cache(maxsize=8)
def _accelerations(rate: float, steps: int) -> NDArray[np.float64]:
    """Acceleration of every move per metre, less its mean, shape (M, 3, steps)."""
    moves = np.stack([kinematics(motion, tempo, rate, steps / rate)[0] for motion, tempo in MOVES])
    return np.asarray(moves - moves.mean(-1, keepdims=True))


def read_imu(samples: NDArray[np.generic], rate: float) -> dict[str, str]:
    """Read size, motion and tempo off an IMU recording; at rest the motion alone.

    Args:
        samples: acceleration in m/s^2 and angular velocity in rad/s, shape (6, T); the angular
            velocity is not read.
        rate: samples per second.

    Raises:
        ValueError: if the samples are of another shape.
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 2 or len(samples) != 6 or samples.shape[1] < 2:
        raise ValueError(f"an IMU recording must have shape (6, samples), not {samples.shape}")
    # Less the mean, gravity and the sensors' bias are gone, whatever the tilt.
    accelerations = samples[:3] - samples[:3].mean(-1, keepdims=True)
    moves = _accelerations(rate, samples.shape[1])
    energy = np.square(moves).sum((1, 2)) + 1e-9
    # Least-squares amplitude of each move, in metres; a move backwards is another move.
    amplitude = np.maximum((moves * accelerations).sum((1, 2)) / energy, 0)  # (M,)
    best = int((amplitude**2 * energy).argmax())  # the move that explains the most energy
    if amplitude[best] < METRES["small"] / 2:
        return {"motion": "still"}
    motion, tempo = MOVES[best]
    return {"size": nearest_size(amplitude[best], METRES), "motion": motion, "tempo": tempo}
