"""The baseline head."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.heads.base import Head
from anymodal.projection.linear import scaled_linear
from anymodal.types import ConditioningSpec


class LinearHead(Head):
    """The baseline: LayerNorm, the S states interpolated to L positions, one Linear."""

    def __init__(self, *, input_width: int, num_signal_tokens: int, spec: ConditioningSpec) -> None:
        super().__init__(input_width=input_width, num_signal_tokens=num_signal_tokens, spec=spec)
        self.norm = nn.LayerNorm(input_width)
        self.model = scaled_linear(input_width, spec.width, spec.scale)

    def _embeds(self, hidden: Tensor, embeds: Tensor) -> Tensor:
        states = self.norm(hidden).transpose(1, 2)  # (B, D, S)
        states = F.interpolate(states, size=self.spec.length, mode="linear", align_corners=True)
        output: Tensor = self.model(states.transpose(1, 2))  # (B, L, C)
        return output
