"""CogAgent's fusion: a light cross-attention to features in high resolution.

Source: Hong et al. 2023 (CogAgent), arXiv:2312.08914, section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.encoders import Encoder
from anymodal.fusion.base import Fusion
from anymodal.language.model import LanguageModel
from anymodal.types import Features

_BLOCK_INPUT: ContextVar[Tensor] = ContextVar("block_input")


class LightCrossAttention(Fusion):
    """In every block, between attention and MLP, a narrow cross-attention without a gate.

    A position sees all media before it in its own conversation. Soft tokens of a projection stand
    in the rows beside. Its output layers start with zeros here, so that the model starts as it is.

    Args:
        widths: D_m of each modality.
        width: of queries, keys and values; None for the first modality's.
        heads: attention heads; None for the language model's.
        tokens: a learned vector for each of so many features, from zeros; None for none.
        encoder: see `Fusion`.

    Raises:
        ValueError: when it is attached, if blocks aren't attention, then MLP, each behind a norm,
            or `heads` doesn't divide the width.
    """

    takes_media = False

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        width: int | None = None,
        heads: int | None = None,
        tokens: int | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        super().__init__(widths=widths, encoder=encoder)
        widths = self.widths
        self.state_width = next(iter(widths.values()), 1)
        self.width, self.heads = width or self.state_width, heads
        self.inputs, self.places = nn.ModuleDict(), nn.ParameterDict()
        for name, inputs in widths.items():
            same = inputs == self.state_width
            self.inputs[name] = nn.Identity() if same else nn.Linear(inputs, self.state_width)
            if tokens is not None:
                self.places[name] = nn.Parameter(torch.zeros(tokens, self.state_width))
        self.blocks = nn.ModuleDict()

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        config = language.model.config.get_text_config()
        heads = self.heads or int(config.num_attention_heads)
        if self.width % heads:
            raise ValueError(f"width={self.width} must be a multiple of heads={heads}")
        own_width = self.block_width(language)
        for place, block in enumerate(blocks):
            first, attention, second = _sequential_parts(block)
            share = float(getattr(block, "residual_multiplier", 1.0))  # Granite's
            cross = _CrossAttention(second, own_width, self.state_width, self.width, heads)
            self.blocks[str(place)] = cross
            self.before(first, _remember)
            self.after(attention, partial(self._add, cross, share))

    def read(self, modality: str, features: Features) -> Features:
        kind = next(self.parameters()).dtype
        values = self.inputs[modality](features.values.to(kind))
        if modality in self.places:
            if values.shape[1] != len(self.places[modality]):
                raise ValueError(
                    f"{values.shape[1]} features of {modality!r}, and the fusion was built with "
                    f"tokens={len(self.places[modality])}"
                )
            values = values + self.places[modality]
        return Features(values, features.mask)

    def _add(self, cross: _CrossAttention, share: float, _: Tensor, attended: Tensor) -> Tensor:
        """Attention's result, with that of the cross-attention which follows its residual, to which
        a block adds a share of it.
        """
        current = self.current
        if current.media is None or not current.has_media:
            return attended
        hidden = _BLOCK_INPUT.get() + attended * share
        visible = current.visible(latest=False).unsqueeze(-1) & current.media.mask.unsqueeze(1)
        key, value = current.media.made_by(id(cross), cross.keys_and_values)
        seen: Tensor = cross(hidden, key, value, visible.flatten(2))
        return attended + seen.to(attended.dtype) / share


class _CrossAttention(nn.Module):
    """Norm and cross-attention of hidden states (B, T, D) to media's states."""

    def __init__(
        self, norm: nn.Module, width: int, state_width: int, inner: int, heads: int
    ) -> None:
        super().__init__()
        self.heads, self.eps = heads, float(getattr(norm, "variance_epsilon", 1e-6))
        self.norm = nn.Parameter(torch.ones(width))
        self.query = nn.Linear(width, inner, bias=False)
        self.key_value = nn.Linear(state_width, 2 * inner, bias=False)
        self.dense = nn.Linear(inner, width, bias=False)
        nn.init.zeros_(self.dense.weight)

    def keys_and_values(self, states: Tensor) -> tuple[Tensor, ...]:
        """Keys and values (…, N, inner) of states (…, N, W)."""
        return self.key_value(states).chunk(2, -1)  # type: ignore[no-any-return]

    def forward(self, hidden: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
        normed = F.rms_norm(hidden.to(self.norm.dtype), self.norm.shape, self.norm, self.eps)
        query = self.query(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = (
            each.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (key, value)
        )  # (B, H, M · N, d)
        sees = visible.any(-1, keepdim=True)
        mixed = F.scaled_dot_product_attention(query, key, value, (visible | ~sees).unsqueeze(1))
        output: Tensor = self.dense(mixed.transpose(1, 2).flatten(2) * sees)
        return output


def _remember(hidden: Tensor) -> Tensor:
    # In a context: blocks of two threads may be at work, and one that is computed anew in a
    # backward pass remembers in that pass's thread.
    _BLOCK_INPUT.set(hidden)
    return hidden


def _sequential_parts(block: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
    """A block's first norm, its attention and its second norm.

    Raises:
        ValueError: for a block of another form.
    """
    names = ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp")
    others = ("pre_feedforward_layernorm", "post_self_attn_layernorm", "cross_attn")
    if any(getattr(block, name, None) is None for name in names) or any(
        hasattr(block, name) for name in others
    ):
        raise ValueError(
            f"a {type(block).__name__} isn't attention and then an MLP, each behind a norm; take "
            "GatedCrossAttention, which stands before blocks of any form"
        )
    first, attention, second, _ = (getattr(block, name) for name in names)
    return first, attention, second
