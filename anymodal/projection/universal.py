"""OneLLM's universal projection module (Han et al. 2024, arXiv:2312.03700, section 3.2).

Experts shared by all modalities read a modality's learned tokens together with its features; a
router of the modality mixes what the experts make of those tokens. State dict keys are OneLLM's.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.language.attention import attention
from anymodal.projection.base import Projection
from anymodal.types import Features


class UniversalProjection(Projection):
    """Shared experts, a soft router and learned tokens per modality.

    Modality m's features (B, N, D_m) go through `clip_proj1[m]` (Linear to W, LayerNorm), follow
    `resample_tokens[m]` into every expert, and the experts' outputs at the learned tokens are
    summed with the router's weights, a sigmoid divided by its sum over experts; `clip_proj2[m]`
    (Linear to D_llm, LayerNorm) ends it. As in OneLLM, the router reads the learned tokens before
    the experts do, so its weights differ by modality and position but not by item.

    In OneLLM D_m = W for every m; here `clip_proj1[m]` takes whatever width the encoder has.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        num_tokens: learned tokens per modality.
        width: W, width of the experts.
        depth: blocks per expert.
        heads: attention heads per block.
        experts: number of experts.
        norm_eps: epsilon of the blocks' RMSNorms.
        tags: surround the output with a learned start and end tag, as OneLLM does between
            language tokens; the attribute `tokens` counts them.
        output_scale: see `Projection`; the first weight of the last LayerNorm.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        num_tokens: int = 30,
        width: int = 1024,
        depth: int = 8,
        heads: int = 16,
        experts: int = 3,
        norm_eps: float = 1e-5,
        tags: bool = False,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__(
            output_width=output_width,
            num_tokens=num_tokens + 2 if tags else num_tokens,
            output_scale=output_scale,
        )
        if width % heads:
            raise ValueError(f"width={width} must be a multiple of heads={heads}")
        if depth < 1 or experts < 1:
            raise ValueError(f"depth={depth} and experts={experts} must be at least 1")
        self.width = width
        self.learned_tokens = num_tokens
        self.tags = tags
        self.resample_layers = nn.ModuleList(
            nn.ModuleList(_Block(width, heads, norm_eps) for _ in range(depth))
            for _ in range(experts)
        )
        self.routers = nn.ModuleDict()
        self.resample_tokens = nn.ParameterDict()
        self.clip_proj1 = nn.ModuleDict()
        self.clip_proj2 = nn.ModuleDict()
        self.start_tag = nn.ParameterDict()
        self.end_tag = nn.ParameterDict()
        for name, encoder_width in widths.items():
            self.add_modality(name, encoder_width)

    def _add(self, name: str, width: int) -> None:
        self.routers[name] = _Router(self.width, len(self.resample_layers))
        learned = torch.randn(1, self.learned_tokens, self.width)
        self.resample_tokens[name] = nn.Parameter(0.02 * learned)
        self.clip_proj1[name] = nn.Sequential(
            nn.Linear(width, self.width), nn.LayerNorm(self.width)
        )
        norm = nn.LayerNorm(self.output_width)
        nn.init.constant_(norm.weight, self.output_scale)
        self.clip_proj2[name] = nn.Sequential(nn.Linear(self.width, self.output_width), norm)
        if self.tags:
            for tag in (self.start_tag, self.end_tag):
                value = torch.randn(1, 1, self.output_width)
                tag[name] = nn.Parameter(self.output_scale * value)

    def _project(self, modality: str, features: Features) -> Tensor:
        batch = features.values.shape[0]
        learned = self.resample_tokens[modality].expand(batch, -1, -1)
        hidden = torch.cat([learned, self.clip_proj1[modality](features.values)], dim=1)
        mask = F.pad(features.mask, (self.learned_tokens, 0), value=True)  # (B, K + N)
        weights = self.routers[modality](learned)  # (B, K, experts)
        # Summed one by one: stacking the experts' outputs would hold them all at once.
        mixed = torch.zeros_like(learned)
        for layers, weight in zip(self.resample_layers, weights.unbind(-1), strict=True):
            mixed = mixed + self._expert(layers, hidden, mask) * weight.unsqueeze(-1)
        output: Tensor = self.clip_proj2[modality](mixed)
        return self._between_tags(modality, output) if self.tags else output

    def _expert(self, layers: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        assert isinstance(layers, nn.ModuleList)
        *blocks, final = layers
        for layer in blocks:
            hidden = layer(hidden, mask)
        # Nothing reads what the last block makes of the features.
        output: Tensor = final(hidden, mask, self.learned_tokens)  # (B, K + N, W) -> (B, K, W)
        return output

    def _between_tags(self, modality: str, output: Tensor) -> Tensor:
        start, end = (
            tag[modality].expand(len(output), -1, -1) for tag in (self.start_tag, self.end_tag)
        )
        return torch.cat([start, output, end], dim=1)


class _Router(nn.Module):
    """Weights of the experts per token, positive and summing to 1: (B, K, W) -> (B, K, experts)."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, experts)

    def forward(self, hidden: Tensor) -> Tensor:
        weights = self.fc2(F.gelu(self.fc1(hidden))).sigmoid()
        normalised: Tensor = weights / weights.sum(dim=-1, keepdim=True)
        return normalised


class _Block(nn.Module):
    """A LLaMA block without positions and without a causal mask, for the first K of N tokens.

    Shapes: (B, N, W) -> (B, K, W), all N where K is None.
    """

    def __init__(self, width: int, heads: int, norm_eps: float) -> None:
        super().__init__()
        self.attention = _Attention(width, heads)
        self.feed_forward = _FeedForward(width)
        self.attention_norm = nn.RMSNorm(width, eps=norm_eps)
        self.ffn_norm = nn.RMSNorm(width, eps=norm_eps)

    def forward(self, hidden: Tensor, mask: Tensor, num_queries: int | None = None) -> Tensor:
        mixed = self.attention(self.attention_norm(hidden), mask, num_queries)
        hidden = hidden[:, :num_queries] + mixed
        hidden = hidden + self.feed_forward(self.ffn_norm(hidden))
        return hidden


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.wq = nn.Linear(width, width, bias=False)
        self.wk = nn.Linear(width, width, bias=False)
        self.wv = nn.Linear(width, width, bias=False)
        self.wo = nn.Linear(width, width, bias=False)

    def forward(self, hidden: Tensor, mask: Tensor, num_queries: int | None) -> Tensor:
        query, key, value = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, W/heads)
            for layer, tokens in (
                (self.wq, hidden[:, :num_queries]),
                (self.wk, hidden),
                (self.wv, hidden),
            )
        )
        mixed = attention(query, key, value, mask[:, None, None, :])
        output: Tensor = self.wo(mixed.transpose(1, 2).flatten(2))  # (B, K, W)
        return output


class _FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv:2002.05202) at LLaMA's hidden width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = -(-int(2 * 4 * width / 3) // 256) * 256  # the next multiple of 256
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width, bias=False)
        self.w3 = nn.Linear(width, hidden, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        output: Tensor = self.w2(F.silu(self.w1(hidden)) * self.w3(hidden))
        return output
