"""Flamingo's fusion: gated cross-attention between a language model's blocks.

Source: Alayrac et al. 2022 (Flamingo), arXiv:2204.14198, sections 2.1 to 2.4, in the form
of OpenFlamingo (Awadalla et al. 2023, arXiv:2308.01390).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.encoders import Encoder
from anymodal.fusion.base import Fusion
from anymodal.fusion.media_resampler import MediaResampler, feed_forward
from anymodal.language.fused_media import FusionPass
from anymodal.language.model import LanguageModel
from anymodal.types import Features, TokenLayout


class GatedCrossAttention(Fusion):
    """Text reads media in blocks of cross-attention, each before every n-th of the model's blocks.

    Each block adds tanh(gate) of attention and of an MLP, both gates from 0, so that the model
    starts as it is, to the bit. A position sees the media before it in its own conversation; one
    without any has no attention. With `immediate` it sees the last alone, of which as a rule the
    text tells.

    OpenFlamingo without `immediate` lets positions before the first medium see the mean of all
    media; here they see none, so that no position depends on what follows it.

    Args:
        widths: D_m of each modality; states have the first one's, to which a Linear brings others.
        every: n; blocks stand before the model's blocks n, 2 n, … counted from 1.
        num_latents: states that a perceiver makes of a medium; None for the features themselves, as
            NVLM-X has them (Dai et al. 2024, arXiv:2409.11402, section 3.2).
        depth: layers of the perceiver.
        heads: attention heads of blocks and perceiver.
        head_width: of each head.
        expansion: of the MLPs' hidden layers.
        immediate: whether a position sees the last medium alone.
        frames: the most frames of a clip, whose places in time are learned; None for none.
        encoder: see `Fusion`.

    Raises:
        ValueError: if a number is less than 1.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        every: int = 4,
        num_latents: int | None = 64,
        depth: int = 6,
        heads: int = 8,
        head_width: int = 64,
        expansion: int = 4,
        immediate: bool = True,
        frames: int | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        super().__init__(widths=widths, encoder=encoder)
        widths = self.widths
        numbers = {"every": every, "num_latents": num_latents, "depth": depth, "heads": heads}
        for name, value in {**numbers, "head_width": head_width, "frames": frames}.items():
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        self.every, self.immediate = every, immediate
        self.heads, self.head_width, self.expansion = heads, head_width, expansion
        self.state_width = next(iter(widths.values()), 0)
        self.inputs = nn.ModuleDict()
        for name, width in widths.items():
            same = width == self.state_width
            self.inputs[name] = nn.Identity() if same else nn.Linear(width, self.state_width)
        self.resamplers = nn.ModuleDict()
        if num_latents is not None:
            for name in widths:
                self.resamplers[name] = MediaResampler(
                    self.state_width, num_latents, depth, heads, head_width, expansion, frames
                )
        self.blocks = nn.ModuleDict()

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        if self.every > len(blocks):
            raise ValueError(
                f"every={self.every} is more than the {len(blocks)} blocks of the language model"
            )
        for place in range(self.every - 1, len(blocks), self.every):
            block = GatedBlock(
                self.block_width(language),
                self.state_width,
                self.heads,
                self.head_width,
                self.expansion,
            )
            self.blocks[str(place)] = block
            self.before(blocks[place], partial(self._read_media, block))

    def read(self, modality: str, features: Features) -> Features:
        values = self.inputs[modality](features.values.to(next(self.parameters()).dtype))
        if modality not in self.resamplers:
            return Features(values, features.mask)
        layout = self.layouts.get(modality, TokenLayout())
        is_clip = len(layout.grid) == 3
        frames, before = (layout.grid[0], layout.before) if is_clip else (1, 0)
        latents = self.resamplers[modality](Features(values, features.mask), frames, before)
        return Features(latents, torch.ones_like(latents[..., 0], dtype=torch.bool))

    def _read_media(self, block: GatedBlock, hidden: Tensor) -> Tensor:
        output: Tensor = block(hidden, self.current, self.immediate)
        return output


class GatedBlock(nn.Module):
    """Gated cross-attention and a gated MLP, each added to hidden states (B, T, D).

    Args:
        width: D.
        state_width: W.
        heads: attention heads.
        head_width: of each.
        expansion: of the MLP's hidden layer.
    """

    def __init__(
        self, width: int, state_width: int, heads: int, head_width: int, expansion: int
    ) -> None:
        super().__init__()
        self.attn = MediaAttention(width, state_width, heads, head_width)
        self.attn_gate = nn.Parameter(torch.zeros(1))
        self.ff = feed_forward(width, expansion)
        self.ff_gate = nn.Parameter(torch.zeros(1))

    def forward(self, hidden: Tensor, current: FusionPass, immediate: bool) -> Tensor:
        """Hidden states with what they read in the media of a pass."""
        inputs = hidden.to(self.attn_gate.dtype)
        if current.has_media:
            inputs = inputs + self.attn(inputs, current, immediate) * self.attn_gate.tanh()
        output: Tensor = inputs + self.ff(inputs) * self.ff_gate.tanh()
        return output.to(hidden.dtype)


class MediaAttention(nn.Module):
    """Cross-attention of positions (B, T, D) to the media that they may see; zeros without any.

    Args:
        width: D.
        state_width: W.
        heads: attention heads.
        head_width: of each.
    """

    def __init__(self, width: int, state_width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads, inner = heads, heads * head_width
        self.norm = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(state_width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, hidden: Tensor, current: FusionPass, immediate: bool) -> Tensor:
        """Attention output of each position (B, T, D)."""
        media = current.media
        assert media is not None, "there are media"
        key, value = (
            each.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in media.made_by(id(self), lambda states: self.to_kv(states).chunk(2, -1))
        )  # (B, H, M · N, d)
        query = self.to_q(self.norm(hidden)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        visible = current.visible(immediate).unsqueeze(-1) & media.mask.unsqueeze(1)
        visible = visible.flatten(2)  # (B, T, M · N)
        sees = visible.any(-1, keepdim=True)
        # Who sees nothing looks at everything here, since nothing has no softmax, and reads zeros.
        mixed = F.scaled_dot_product_attention(query, key, value, (visible | ~sees).unsqueeze(1))
        output: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2) * sees)
        return output
