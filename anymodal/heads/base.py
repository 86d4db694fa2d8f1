"""The contract of an output head: hidden states of a signal span become conditioning.

Shapes: B batch, S signals, D width of the language model, L conditioning length, C conditioning
width, P pooled width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from anymodal.io.recorded import Recorded
from anymodal.types import Conditioning, ConditioningSpec

PADDED = 0.3
"""A conditioning position weaker than this, relative to the scale, is padding."""


class Head(Recorded, nn.Module, ABC):
    """Maps the hidden states of `num_signal_tokens` signal tokens to conditioning of a given shape.

    Alignment teaches a head to put zeros where a caption is padded, so the conditioning's mask is
    False where its embeds are far below `spec.scale`. Embeds start at the root mean square
    `spec.scale`, so that a frozen decoder meets no stranger (MetaQuery, Pan
    et al. 2025, arXiv:2504.06256). Where `spec.pooled` is set, a Linear of the mean hidden state
    gives the pooled conditioning.

    Args:
        input_width: D.
        num_signal_tokens: S.
        spec: the conditioning's shape and scale, the decoder's own.
    """

    def __init__(self, *, input_width: int, num_signal_tokens: int, spec: ConditioningSpec) -> None:
        super().__init__()
        for name, value in (
            ("input_width", input_width),
            ("num_signal_tokens", num_signal_tokens),
            ("spec.length", spec.length),
            ("spec.width", spec.width),
            ("spec.scale", spec.scale),
        ):
            if value <= 0:
                raise ValueError(f"{name}={value} must be greater than 0")
        self.input_width = input_width
        self.num_signal_tokens = num_signal_tokens
        self.spec = spec
        self.pool = None if spec.pooled is None else nn.Linear(input_width, spec.pooled)

    @property
    def num_positions(self) -> int:
        """Positions of the conditioning that it fills; what is behind them is masked."""
        return self.spec.length

    @abstractmethod
    def _embeds(self, hidden: Tensor, embeds: Tensor) -> Tensor:
        """Conditioning (B, L, C) from checked states (B, S, D)."""

    def _mask(self, output: Tensor) -> Tensor:
        """The positions (B, L) of a conditioning (B, L, C) that aren't padding."""
        mask = output.square().mean(-1).sqrt() > PADDED * self.spec.scale
        mask[:, 0] = True  # attention needs something to attend to
        return mask

    def forward(self, hidden: Tensor, embeds: Tensor) -> Conditioning:
        """Conditioning from a span's last hidden states and its tokens' input embeddings.

        Shapes: hidden (B, S, D), embeds (B, S, D) -> embeds (B, L, C), mask (B, L), pooled (B, P).

        Raises:
            ValueError: if the states have another shape than the head was built for.
        """
        for name, states in (("hidden", hidden), ("embeds", embeds)):
            if states.ndim != 3 or states.shape[1:] != (self.num_signal_tokens, self.input_width):
                raise ValueError(
                    f"{name} has shape {tuple(states.shape)}; this head was built for "
                    f"(batch, {self.num_signal_tokens} signal tokens, width {self.input_width})"
                )
        # A language model in half precision feeds heads that train in float32.
        dtype = next(self.parameters()).dtype
        hidden, embeds = hidden.to(dtype), embeds.to(dtype)
        output = self._embeds(hidden, embeds)
        mask = self._mask(output.detach())  # (B, L)
        return Conditioning(output, mask, self._pooled(hidden))

    def _pooled(self, hidden: Tensor) -> Tensor | None:
        """Pooled conditioning (B, P) from checked states (B, S, D), where there is any."""
        return None if self.pool is None else self.pool(hidden.mean(dim=1))


def check_attention(width: int, heads: int, depth: int) -> None:
    """Refuse attention heads that do not divide the width, and a depth of none.

    Raises:
        ValueError: naming the value.
    """
    if heads < 1 or width % heads:
        raise ValueError(f"a width of {width} must be a multiple of heads={heads}; change heads")
    if depth < 1:
        raise ValueError(f"depth={depth} must be at least 1")
