"""Heads: the language model's states at a signal span become a decoder's conditioning.

Shapes: B batch, S signals, D width of the language model, L conditioning length, C conditioning
width, P pooled width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.projection.linear import scaled_linear
from anymodal.recorded import Recorded
from anymodal.types import Conditioning, ConditioningSpec

PADDED = 0.3
"""A conditioning position weaker than this, relative to the scale, is padding."""


class Head(Recorded, nn.Module, ABC):
    """Maps the hidden states of a span of `signals` signals to conditioning of a given shape.

    Alignment teaches a head to put zeros where a caption is padded, so the conditioning's mask is
    False where its embeds are far below `spec.scale`. Embeds start at the root mean square
    `spec.scale`, so that a frozen decoder meets no stranger (MetaQuery, Pan
    et al. 2025, arXiv:2504.06256). Where `spec.pooled` is set, a Linear of the mean hidden state
    gives the pooled conditioning.

    Args:
        input_width: D.
        signals: S.
        spec: the conditioning's shape and scale, the decoder's own.
    """

    def __init__(self, *, input_width: int, signals: int, spec: ConditioningSpec) -> None:
        super().__init__()
        for name, value in (
            ("input_width", input_width),
            ("signals", signals),
            ("spec.length", spec.length),
            ("spec.width", spec.width),
            ("spec.scale", spec.scale),
        ):
            if value <= 0:
                raise ValueError(f"{name}={value} must be greater than 0")
        self.input_width = input_width
        self.signals = signals
        self.spec = spec
        self.pool = None if spec.pooled is None else nn.Linear(input_width, spec.pooled)

    @abstractmethod
    def _embeds(self, hidden: Tensor, embeds: Tensor) -> Tensor:
        """Conditioning (B, L, C) from checked states (B, S, D)."""

    def forward(self, hidden: Tensor, embeds: Tensor) -> Conditioning:
        """Conditioning from a span's last hidden states and its tokens' input embeddings.

        Shapes: hidden (B, S, D), embeds (B, S, D) -> embeds (B, L, C), mask (B, L), pooled (B, P).

        Raises:
            ValueError: if the states have another shape than the head was built for.
        """
        for name, states in (("hidden", hidden), ("embeds", embeds)):
            if states.ndim != 3 or states.shape[1:] != (self.signals, self.input_width):
                raise ValueError(
                    f"{name} has shape {tuple(states.shape)}; this head was built for "
                    f"(batch, {self.signals} signals, width {self.input_width})"
                )
        dtype = next(self.parameters()).dtype
        hidden, embeds = hidden.to(dtype), embeds.to(dtype)
        output = self._embeds(hidden, embeds)
        mask = output.detach().square().mean(-1).sqrt() > PADDED * self.spec.scale  # (B, L)
        mask[:, 0] = True  # attention needs something to attend to
        pooled = None if self.pool is None else self.pool(hidden.mean(dim=1))
        return Conditioning(output, mask, pooled)


class LinearHead(Head):
    """The baseline: LayerNorm, the S states interpolated to L positions, one Linear."""

    def __init__(self, *, input_width: int, signals: int, spec: ConditioningSpec) -> None:
        super().__init__(input_width=input_width, signals=signals, spec=spec)
        self.norm = nn.LayerNorm(input_width)
        self.model = scaled_linear(input_width, spec.width, spec.scale)

    def _embeds(self, hidden: Tensor, embeds: Tensor) -> Tensor:
        states = self.norm(hidden).transpose(1, 2)  # (B, D, S)
        states = F.interpolate(states, size=self.spec.length, mode="linear", align_corners=True)
        output: Tensor = self.model(states.transpose(1, 2))  # (B, L, C)
        return output


class MapperHead(Head):
    """GILL's mapper (Koh et al. 2023, arXiv:2305.17216, section 3.2), NExT-GPT's output projector.

    Hidden states plus input embeddings are encoded by a small transformer, and L learned queries
    decode the conditioning from them. State dict keys are those of GILL and NExT-GPT.

    Args:
        input_width: D.
        signals: S.
        spec: the conditioning's shape and scale.
        hidden_width: width of the transformer; its MLPs are four times as wide.
        depth: encoder layers, and as many decoder layers.
        heads: attention heads per layer.
    """

    def __init__(
        self,
        *,
        input_width: int,
        signals: int,
        spec: ConditioningSpec,
        hidden_width: int = 512,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        super().__init__(input_width=input_width, signals=signals, spec=spec)
        _check_heads(hidden_width, heads, depth)
        self.fc = nn.Linear(input_width, hidden_width)
        self.tfm = _transformer(hidden_width, depth, heads)
        # The transformer ends in a LayerNorm, so this scale is exact.
        self.model = scaled_linear(hidden_width, spec.width, spec.scale)
        self.query_embs = nn.Parameter(torch.randn(1, spec.length, hidden_width))

    def _embeds(self, hidden: Tensor, embeds: Tensor) -> Tensor:
        states = self.fc(hidden + embeds)
        queries = self.query_embs.expand(len(states), -1, -1)  # (B, L, hidden_width)
        output: Tensor = self.model(self.tfm(states, queries))
        return output


class ConnectorHead(Head):
    """MetaQuery's connector (Pan et al. 2025, arXiv:2504.06256): a bidirectional transformer.

    At the language model's width, with rotary positions and normalised queries and keys; then
    Linear, GELU, Linear and an RMSNorm whose weight starts at the conditioning's scale.

    MetaQuery hands its S outputs to the decoder as they are. Here L learned queries follow the S
    states through the transformer and are read out instead, since alignment to a caption's
    conditioning compares position by position, and S (the cost of a span in the language model)
    should not be tied to L (a fact of the decoder). A gate per position, open at first, follows
    the RMSNorm, which alone gives every position the same size and so can't reach the zero vector
    of a caption's padding: pulled there, it shrinks the real positions too.

    Args:
        input_width: D.
        signals: S.
        spec: the conditioning's shape and scale.
        depth: number of blocks, 24 in MetaQuery's large setting.
        heads: attention heads per block; D must be an even multiple of it.
    """

    def __init__(
        self,
        *,
        input_width: int,
        signals: int,
        spec: ConditioningSpec,
        depth: int = 6,
        heads: int = 8,
    ) -> None:
        super().__init__(input_width=input_width, signals=signals, spec=spec)
        _check_heads(input_width, heads, depth)
        if input_width // heads % 2:
            raise ValueError(
                f"input_width={input_width} over heads={heads} is an odd head width "
                f"({input_width // heads}), which rotary positions can't halve; change heads"
            )
        self.heads = heads
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
        self.gate = nn.Linear(input_width, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, 4.0)  # sigmoid(4) = 0.98: open

    def _embeds(self, hidden: Tensor, embeds: Tensor) -> Tensor:
        states = torch.cat([hidden, self.queries.expand(len(hidden), -1, -1)], dim=1)  # (B, S+L, D)
        rotation = _rotation(states.shape[1], self.input_width // self.heads, states)
        for block in self.blocks:
            states = block(states, rotation)
        read = self.norm(states[:, self.signals :])  # (B, L, D)
        projected = self.projection(read).to(read.dtype)
        output: Tensor = self.output_norm(projected) * self.gate(read).sigmoid()
        return output


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


def _transformer(width: int, depth: int, heads: int) -> nn.Transformer:
    # The encoder is built by hand only because nn.Transformer's own warns about nested tensors.
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
    )
    encoder = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
    return nn.Transformer(
        width,
        heads,
        num_decoder_layers=depth,
        dim_feedforward=4 * width,
        dropout=0.0,
        custom_encoder=encoder,
        batch_first=True,
        norm_first=True,
    )


def _check_heads(width: int, heads: int, depth: int) -> None:
    if heads < 1 or width % heads:
        raise ValueError(f"a width of {width} must be a multiple of heads={heads}; change heads")
    if depth < 1:
        raise ValueError(f"depth={depth} must be at least 1")


def alignment_loss(predicted: Conditioning, target: Conditioning, kind: str = "l2") -> Tensor:
    """How far a head's conditioning is from a caption's, with padding pulled to the zero vector.

    The mean error over the target's real positions, plus the mean error of its padded positions
    against zero, plus the error of the pooled conditioning where there is one. `l2` is the norm
    of the difference (NExT-GPT, Wu et al. 2024, arXiv:2309.05519, decoding-side alignment), `mse`
    its mean square, `cosine` one minus the cosine (at padded positions, which have no direction,
    the mean square). Computed in float32.

    Shapes: embeds (B, L, C) and pooled (B, P) of both alike -> scalar.

    Raises:
        ValueError: if the kind is unknown, shapes differ, or only one side has pooled.
    """
    means = alignment_means(predicted, target, kind)
    return torch.stack([value for value, _ in means if value is not None]).sum()


def alignment_means(
    predicted: Conditioning, target: Conditioning, kind: str = "l2"
) -> list[tuple[Tensor | None, Tensor | int]]:
    """The three means of `alignment_loss`, each with how many errors it is over."""
    if kind not in ("l2", "mse", "cosine"):
        raise ValueError(f"kind={kind!r} is not an alignment loss; choose l2, mse or cosine")
    if predicted.embeds.shape != target.embeds.shape:
        raise ValueError(
            f"predicted conditioning {tuple(predicted.embeds.shape)} and target "
            f"{tuple(target.embeds.shape)} differ; build the head from the decoder's spec"
        )
    if (predicted.pooled is None) != (target.pooled is None):
        raise ValueError(
            "only one of predicted and target has pooled conditioning; build the head from the "
            "decoder's spec"
        )
    real = target.mask
    wanted = target.embeds.float().masked_fill(~real.unsqueeze(-1), 0)
    errors = _errors(predicted.embeds.float(), wanted, kind)  # (B, L)
    if kind == "cosine":
        errors = torch.where(real, errors, predicted.embeds.float().square().mean(dim=-1))
    pooled = None
    if predicted.pooled is not None and target.pooled is not None:
        pooled = _errors(predicted.pooled.float(), target.pooled.float(), kind).mean()
    return [
        (_mean_where(errors, real), real.sum()),
        (_mean_where(errors, ~real), (~real).sum()),
        (pooled, len(real)),
    ]


def _errors(predicted: Tensor, target: Tensor, kind: str) -> Tensor:
    """Error over the last dimension."""
    if kind == "l2":
        norm: Tensor = torch.linalg.vector_norm(predicted - target, dim=-1)
        return norm
    if kind == "mse":
        return (predicted - target).square().mean(dim=-1)
    similarity: Tensor = F.cosine_similarity(predicted, target, dim=-1)
    return 1 - similarity


def _mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of values where the mask is True, 0 where it never is."""
    return values.masked_fill(~mask, 0).sum() / mask.sum().clamp(min=1)
