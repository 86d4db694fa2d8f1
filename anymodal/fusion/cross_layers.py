"""Llama 3.2 Vision's fusion: whole layers of cross-attention between a language model's blocks.

Source: Llama team 2024 (Llama 3), arXiv:2407.21783, section 7.2, in the form of transformers'
`mllama`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.encoders import Encoder
from anymodal.fusion.base import Fusion
from anymodal.language.fused_media import FusionPass
from anymodal.language.model import LanguageModel
from anymodal.types import Features


class CrossLayers(Fusion):
    """A layer of the model's own form, with cross-attention in place of attention, before every
    n-th block.

    Queries and keys have norms of their own, heads and sizes are the language model's. Attention
    and MLP each have a gate, tanh of a number from 0, so that the model starts as it is, to the
    bit. A position sees all media before it in its own conversation; one without any passes as it
    is. (transformers' class lets such a position see the mean of all media.)

    Args:
        widths: D_m of each modality.
        every: n.
        encoder: see `Fusion`.

    Raises:
        ValueError: if a number is less than 1; when it is attached, if it is more than the blocks.
    """

    def __init__(
        self, *, widths: Mapping[str, int], every: int = 4, encoder: Encoder | None = None
    ) -> None:
        super().__init__(widths=widths, encoder=encoder)
        if every < 1:
            raise ValueError(f"every={every} must be at least 1")
        self.every = every
        self.projectors, self.blocks = nn.ModuleDict(), nn.ModuleDict()

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        if self.every > len(blocks):
            raise ValueError(f"every={self.every} is more than the model's {len(blocks)} blocks")
        own = self.block_width(language)
        for name, width in self.widths.items():
            self.projectors[name] = nn.Linear(width, own)
        config = language.model.config.get_text_config()
        for place in range(self.every - 1, len(blocks), self.every):
            layer = CrossLayer(own, config)
            self.blocks[str(place)] = layer
            self.before(blocks[place], partial(self._read_media, layer))

    def read(self, modality: str, features: Features) -> Features:
        projector: Any = self.projectors[modality]
        return Features(projector(features.values.to(projector.weight.dtype)), features.mask)

    def _read_media(self, layer: CrossLayer, hidden: Tensor) -> Tensor:
        current = self.current
        output: Tensor = layer(hidden, current) if current.has_media else hidden
        return output


class CrossLayer(nn.Module):
    """A layer of gated cross-attention, with transformers' names of its weights.

    Args:
        width: D.
        config: the language model's, whose heads and sizes it has.
    """

    def __init__(self, width: int, config: Any) -> None:
        super().__init__()
        epsilon = float(getattr(config, "rms_norm_eps", 1e-5))
        self.input_layernorm = nn.RMSNorm(width, epsilon)
        self.cross_attn = _Attention(width, config, epsilon)
        self.cross_attn_attn_gate = nn.Parameter(torch.zeros(1))
        self.mlp = _GatedMLPs(width, _hidden_width(config, width))
        self.post_attention_layernorm = nn.RMSNorm(width, epsilon)
        self.cross_attn_mlp_gate = nn.Parameter(torch.zeros(1))

    def forward(self, hidden: Tensor, current: FusionPass) -> Tensor:
        """Hidden states (B, T, D) with what they read in the media of a pass."""
        media = current.media
        assert media is not None, "there are media"
        inputs = hidden.to(self.cross_attn_attn_gate.dtype)
        key, value = media.made_by(id(self), self.cross_attn.keys_and_values)
        visible = current.visible(latest=False).unsqueeze(-1) & media.mask.unsqueeze(1)
        visible = visible.flatten(2)  # (B, T, M · N)
        sees = visible.any(-1, keepdim=True)
        mixed = self.cross_attn(self.input_layernorm(inputs), key, value, visible | ~sees)
        output: Tensor = inputs + self.cross_attn_attn_gate.tanh() * mixed * sees
        more = self.mlp(self.post_attention_layernorm(output))
        output = output + self.cross_attn_mlp_gate.tanh() * more * sees
        return output.to(hidden.dtype)


_HIDDEN_WIDTHS = ("intermediate_size", "ffn_dim", "ffn_hidden_size", "n_inner")
"""What configurations of transformers call the width of MLPs' hidden layers."""


def _hidden_width(config: Any, width: int) -> int:
    """Of the language model's MLPs, the first block's where they differ; four times its width where
    the configuration leaves it out, as GPT-2's.
    """
    given = [getattr(config, name, None) for name in _HIDDEN_WIDTHS]
    found = next((each for each in given if each), 4 * width)
    return int(found if isinstance(found, int) else found[0])


class _Attention(nn.Module):
    def __init__(self, width: int, config: Any, epsilon: float) -> None:
        super().__init__()
        self.heads = int(config.num_attention_heads)
        kv_heads = int(getattr(config, "num_key_value_heads", None) or self.heads)
        self.head_width = int(getattr(config, "head_dim", None) or width // self.heads)
        self.q_proj = nn.Linear(width, self.heads * self.head_width, bias=False)
        self.k_proj = nn.Linear(width, kv_heads * self.head_width, bias=False)
        self.v_proj = nn.Linear(width, kv_heads * self.head_width, bias=False)
        self.o_proj = nn.Linear(self.heads * self.head_width, width, bias=False)
        self.q_norm = nn.RMSNorm(self.head_width, epsilon)
        self.k_norm = nn.RMSNorm(self.head_width, epsilon)

    def keys_and_values(self, states: Tensor) -> tuple[Tensor, ...]:
        """Keys and values (…, N, kv heads, d) of states (…, N, D)."""
        key, value = (
            each(states).unflatten(-1, (-1, self.head_width)) for each in (self.k_proj, self.v_proj)
        )
        return self.k_norm(key), value

    def forward(self, hidden: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
        query = self.q_norm(self.q_proj(hidden).unflatten(-1, (-1, self.head_width)))
        groups = self.heads // key.shape[-2]
        key, value = (
            each.flatten(1, 2).transpose(1, 2).repeat_interleave(groups, 1) for each in (key, value)
        )  # (B, H, M · N, d)
        mixed = F.scaled_dot_product_attention(
            query.transpose(1, 2), key, value, visible.unsqueeze(1)
        )
        output: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return output


class _GatedMLPs(nn.Module):
    """SwiGLU without biases."""

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden_width, bias=False)
        self.up_proj = nn.Linear(width, hidden_width, bias=False)
        self.down_proj = nn.Linear(hidden_width, width, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        output: Tensor = self.down_proj(F.silu(self.gate_proj(states)) * self.up_proj(states))
        return output
