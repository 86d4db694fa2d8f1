"""MetaQuery's connector."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.heads.base import Head, check_attention
from anymodal.types import ConditioningSpec


class ConnectorHead(Head):
    """MetaQuery's connector (Pan et al. 2025, arXiv:2504.06256): a bidirectional transformer.

    At the language model's width, with rotary positions and normalised queries and keys; then
    Linear, GELU, Linear and an RMSNorm whose weight starts at the conditioning's scale.

    With `queries: signals`, as in MetaQuery, the S outputs are the conditioning, and where the
    decoder's is longer, the rest is masked. The denoising loss teaches them.

    With `learned`, L learned queries follow the S states through the transformer and are read out
    instead, since alignment to a caption's conditioning compares position by position, and S (the
    cost of a span in the language model) should not be tied to L (a fact of the decoder). A gate
    per position, open at first, follows the RMSNorm, which alone gives every position the same size
    and so can't reach the zero vector of a caption's padding: pulled there, it shrinks the real
    positions too.

    Args:
        input_width: D.
        num_signal_tokens: S.
        spec: the conditioning's shape and scale.
        depth: number of blocks, 24 in MetaQuery's large setting.
        heads: attention heads per block; D must be an even multiple of it.
        queries: the positions that are read out, `learned` or `signals`.

    Raises:
        ValueError: if a number is out of its range, or there are more signals than positions of the
            conditioning and these are to be it.
    """

    def __init__(
        self,
        *,
        input_width: int,
        num_signal_tokens: int,
        spec: ConditioningSpec,
        depth: int = 6,
        heads: int = 8,
        queries: Literal["learned", "signals"] = "learned",
    ) -> None:
        super().__init__(input_width=input_width, num_signal_tokens=num_signal_tokens, spec=spec)
        check_attention(input_width, heads, depth)
        _check_queries(queries, num_signal_tokens, spec)
        if input_width // heads % 2:
            raise ValueError(
                f"input_width={input_width} over heads={heads} is an odd head width "
                f"({input_width // heads}), which rotary positions can't halve; change heads"
            )
        self.heads = heads
        self.reads_signals = queries == "signals"
        if not self.reads_signals:
            self.queries = nn.Parameter(0.02 * torch.randn(1, spec.length, input_width))
        self.blocks = nn.ModuleList(_Block(input_width, heads) for _ in range(depth))
        self.norm = nn.RMSNorm(input_width, eps=1e-6)
        self.projection = nn.Sequential(
            nn.Linear(input_width, spec.width),
            nn.GELU(approximate="tanh"),
            nn.Linear(spec.width, spec.width),
        )
        self.output_norm = nn.RMSNorm(spec.width, eps=1e-6)
        nn.init.constant_(self.output_norm.weight, spec.scale)
        if not self.reads_signals:
            self.gate = nn.Linear(input_width, 1)
            nn.init.zeros_(self.gate.weight)
            nn.init.constant_(self.gate.bias, 4.0)  # sigmoid(4) = 0.98: open

    @property
    def num_positions(self) -> int:
        return self.num_signal_tokens if self.reads_signals else self.spec.length

    def _embeds(self, hidden: Tensor, embeds: Tensor) -> Tensor:
        states = hidden  # (B, S, D)
        if not self.reads_signals:
            states = torch.cat([states, self.queries.expand(len(hidden), -1, -1)], 1)  # (B, S+L, D)
        rotation = _rotation(states.shape[1], self.input_width // self.heads, states)
        for block in self.blocks:
            states = block(states, rotation)
        outputs = self.norm(states[:, -self.num_positions :])  # (B, S or L, D)
        values: Tensor = self.output_norm(self.projection(outputs).to(outputs.dtype))
        if self.reads_signals:
            return F.pad(values, (0, 0, 0, self.spec.length - values.shape[1]))  # (B, L, C)
        gated: Tensor = values * self.gate(outputs).sigmoid()
        return gated

    def _mask(self, output: Tensor) -> Tensor:
        if not self.reads_signals:
            return super()._mask(output)
        positions = torch.arange(self.spec.length, device=output.device)
        return (positions < self.num_signal_tokens).expand(len(output), -1)


def _check_queries(queries: str, num_signal_tokens: int, spec: ConditioningSpec) -> None:
    if queries not in ("learned", "signals"):
        raise ValueError(f"queries={queries!r} is unknown; choose 'learned' or 'signals'")
    if queries == "signals" and num_signal_tokens > spec.length:
        raise ValueError(
            f"num_signal_tokens={num_signal_tokens} are more than the decoder's conditioning has "
            f"positions ({spec.length}); give no more than those, or queries='learned'"
        )


class _Block(nn.Module):
    """A pre-norm block without a causal mask (B, N, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, eps=1e-6)
        self.attention = _Attention(width, heads)
        self.mlp_norm = nn.RMSNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def forward(self, states: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        states = states + self.attention(self.attention_norm(states), rotation)
        output: Tensor = states + self.mlp(self.mlp_norm(states))
        return output


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_norm = nn.RMSNorm(self.head_width, eps=1e-6)
        self.key_norm = nn.RMSNorm(self.head_width, eps=1e-6)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, states: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        # Under autocast the Linear's output is narrower than the norms' weights: widen it again.
        parts = self.qkv(states).to(states.dtype).unflatten(-1, (3, self.heads, self.head_width))
        query, key, value = parts.transpose(1, 3).unbind(2)  # each (B, heads, N, head_width)
        query = _rotate(self.query_norm(query), rotation)
        key = _rotate(self.key_norm(key), rotation)
        mixed = F.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))  # (B, N, D)
        return output


def _rotation(length: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines (N, width / 2) of rotary positions (Su et al. 2021, arXiv:2104.09864).

    Computed in float32 at each call: a buffer would lose its precision when cast to bfloat16.
    """
    rates = 10000.0 ** (-torch.arange(0, width, 2, device=like.device, dtype=torch.float32) / width)
    angles = torch.arange(length, device=like.device, dtype=torch.float32)[:, None] * rates
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def _rotate(states: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = rotation
    first, second = states.chunk(2, dim=-1)  # halves of (B, heads, N, head_width)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
