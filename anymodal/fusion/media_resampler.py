"""Flamingo's perceiver resampler: a few latents of however many features a medium has."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.types import Features


class MediaResampler(nn.Module):
    """Learned latents read a medium's features and themselves, layer after layer.

    Source: Alayrac et al. 2022 (Flamingo), arXiv:2204.14198, section 2.1; keys and values are
    normed features, then normed latents.

    Args:
        width: W, of features and latents.
        num_latents: L.
        depth: layers.
        heads: attention heads.
        head_width: of each.
        expansion: of the MLPs' hidden layers.
        frames: the most frames, each of which has a learned vector that its tokens get; None for no
            such vectors.
    """

    def __init__(
        self,
        width: int,
        num_latents: int,
        depth: int,
        heads: int,
        head_width: int,
        expansion: int,
        frames: int | None,
    ) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(num_latents, width))
        self.frame_embs = None if frames is None else nn.Parameter(torch.randn(frames, width))
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [_LatentAttention(width, heads, head_width), feed_forward(width, expansion)]
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Features, frames: int = 1, before: int = 0) -> Tensor:
        """Latents (B, L, W) of features (B, N, W).

        Args:
            features: whose tokens are those of frames, one behind the other.
            frames: their number.
            before: tokens of the whole medium that stand before those.

        Raises:
            ValueError: for more frames than there are vectors for.
        """
        values, mask = features
        values = values.masked_fill(~mask.unsqueeze(-1), 0)
        if self.frame_embs is not None:
            if frames > len(self.frame_embs):
                raise ValueError(
                    f"a clip of {frames} frames; the fusion was built with frames="
                    f"{len(self.frame_embs)}"
                )
            each = (values.shape[1] - before) // frames
            in_time = self.frame_embs[:frames].repeat_interleave(each, 0)
            values = values + F.pad(in_time, (0, 0, before, 0))
        latents = self.latents.expand(len(values), -1, -1)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            attention, mlp = layer
            latents = latents + attention(latents, values, mask)
            latents = latents + mlp(latents)
        output: Tensor = self.norm(latents)
        return output


class _LatentAttention(nn.Module):
    """Attention of latents (B, L, W) to features (B, N, W) and latents."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads, inner = heads, heads * head_width
        self.norm_media, self.norm_latents = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, latents: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        latents = self.norm_latents(latents)
        memory = torch.cat([self.norm_media(values), latents], dim=1)  # (B, N + L, W)
        query, key, value = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.to_q(latents), *self.to_kv(memory).chunk(2, -1))
        )
        visible = F.pad(mask, (0, latents.shape[1]), value=True)[:, None, None]
        mixed = F.scaled_dot_product_attention(query, key, value, visible)
        output: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return output


def feed_forward(width: int, expansion: int) -> nn.Sequential:
    """LayerNorm, Linear, GELU, Linear, without biases."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, width * expansion, bias=False),
        nn.GELU(),
        nn.Linear(width * expansion, width, bias=False),
    )
