"""Tables of IMU readings, as text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from anymodal.media import IMU

HEAD = "t,ax,ay,az,gx,gy,gz"

ROWS = "".join(f"{i / 100},1,2,3,4,5,6\n" for i in range(50))

G, DEGREE = 9.80665, math.pi / 180


def table(header: str, row: str, count: int = 50, step: int = 1) -> str:
    """A table whose rows have `{i}` multiplied by `step`."""
    return header + "\n" + "".join(row.format(i=i * step) + "\n" for i in range(count))


def is_right(medium: Any, rate: float = 100, scale: tuple[float, float] = (1, 1)) -> None:
    """Samples of 1 to 6 in other units, at a rate."""
    assert isinstance(medium, IMU)
    assert medium.rate == pytest.approx(rate, rel=1e-3)
    expected = np.repeat(scale, 3) * np.arange(1, 7)
    np.testing.assert_allclose(medium.samples, expected[:, None] + np.zeros(medium.samples.shape),
                               rtol=1e-5)  # fmt: skip
