"""Relative costs of a language model's passes on a kind of device.

A position's matrices in a layer of width D are about 24 D² FLOPs; they are the unit here.
"""

from __future__ import annotations

from typing import NamedTuple


class DeviceCosts(NamedTuple):
    """Costs of what comes beside matrices.

    Args:
        attention: of a FLOP of attention over all that stands in a row, in FLOPs of matrices.
        masked: the same, where positions that start again part a row's sequences by a mask.
        call: of a layer's pass, whatever its positions, in positions: it reads the weights.
        launch: of starting a layer's pass, in FLOPs of matrices.
    """

    attention: float
    masked: float
    call: float
    launch: float

    def rows(self, count: int, length: int, width: int, masked: bool) -> float:
        """The cost of rows of a length, in positions.

        Attention over T positions has 4 T D FLOPs for each.
        """
        attention = self.masked if masked else self.attention
        return count * length * (1 + attention * length / (6 * width))

    def call_positions(self, width: int) -> float:
        """The cost of another pass, in positions."""
        return self.call + self.launch / (24 * width**2)


_COSTS = {"cpu": DeviceCosts(1.2, 1.7, 13, 2.7e7)}
"""Of one thread of a Xeon, forward and back, at widths of 256 and 768; `benchmarks/costs.py`
measures them on another machine.
"""

_ACCELERATOR = DeviceCosts(0.5, 1, 250, 1e11)
"""Others, estimated: 0.25 ms to start a layer, at 400 TFLOP/s; 3 TB/s to read its weights."""


def device_costs(kind: str) -> DeviceCosts:
    """The costs on a kind of device, such as `cpu`."""
    return _COSTS.get(kind, _ACCELERATOR)
