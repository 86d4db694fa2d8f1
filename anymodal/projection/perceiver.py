"""The perceiver resampler of Flamingo (Alayrac et al. 2022, arXiv:2204.14198, section 3.1.1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.types import Features


class PerceiverProjection(Projection):
    """Learned latents read the features by cross-attention, layer after layer.

    Each layer's latents are the queries, and features and latents together the keys and values.
    Layers and output are shared by all modalities; each modality has its own latents and its own
    map from its encoder's width to W.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        num_tokens: K, the number of latents.
        width: W, width of the layers.
        depth: number of layers.
        heads: attention heads per layer.
        output_scale: see `Projection`; the first weight of the last LayerNorm.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        num_tokens: int = 64,
        width: int = 1024,
        depth: int = 6,
        heads: int = 8,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__(
            output_width=output_width, num_tokens=num_tokens, output_scale=output_scale
        )
        if width % heads:
            raise ValueError(f"width={width} must be a multiple of heads={heads}")
        if depth < 1:
            raise ValueError(f"depth={depth} must be at least 1")
        self.width = width
        self.inputs = nn.ModuleDict()
        self.latents = nn.ParameterDict()
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(depth))
        self.output = nn.Linear(width, output_width)
        self.output_norm = nn.LayerNorm(output_width)
        nn.init.constant_(self.output_norm.weight, output_scale)
        for name, encoder_width in widths.items():
            self.add_modality(name, encoder_width)

    def _add(self, name: str, width: int) -> None:
        self.inputs[name] = nn.Linear(width, self.width)
        self.latents[name] = nn.Parameter(0.02 * torch.randn(1, self.num_tokens, self.width))

    def _project(self, modality: str, features: Features) -> Tensor:
        values = self.inputs[modality](features.values)
        latents = self.latents[modality].expand(len(values), -1, -1)
        padding = F.pad(
            ~features.mask, (0, self.num_tokens), value=False
        )  # (B, N + K), True: ignored
        for layer in self.layers:
            latents = layer(latents, values, padding)
        output: Tensor = self.output_norm(self.output(latents))
        return output


class _Layer(nn.Module):
    """Cross-attention of latents (B, K, W) to features (B, N, W) and latents, then an MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.feature_norm = nn.LayerNorm(width)
        self.latent_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, latents: Tensor, values: Tensor, padding: Tensor) -> Tensor:
        query = self.latent_norm(latents)
        memory = torch.cat([self.feature_norm(values), query], dim=1)  # (B, N + K, W)
        mixed, _ = self.attention(
            query, memory, memory, key_padding_mask=padding, need_weights=False
        )
        latents = latents + mixed
        output: Tensor = latents + self.mlp(latents)
        return output
