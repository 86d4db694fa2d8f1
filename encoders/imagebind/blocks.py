"""The parts of ImageBind's trunks (Girdhar et al. 2023, "ImageBind: One Embedding Space To Bind
Them All", section 3.4 and appendix A).

Written from the paper and from the names and shapes of the published state dict. Shapes: B batch
(with clips folded in), N tokens, D width of the trunk, E width of the joint embedding.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-6  # of every LayerNorm but the stems', which keep torch's 1e-5
MAX_LOGIT_SCALE = 100.0
IMU_CHANNELS = 6


class Tokens(NamedTuple):
    """A trunk's input.

    Shapes: values (B, N, D); mask (B, N), bool, True where real; pooled_index (B,), the
    position of the token that the embedding is read from; causal (N, N), added to attention
    scores, or None.
    """

    values: Tensor
    mask: Tensor
    pooled_index: Tensor
    causal: Tensor | None = None


class RepeatFrames(nn.Module):
    """Makes a still (B, 3, H, W) a video (B, 3, T, H, W); leaves video as it is."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 5:
            return x
        return x.unsqueeze(2).expand(-1, -1, self.frames, -1, -1)  # (B, 3, T, H, W)


class Flatten(nn.Module):
    """A convolution's grid (B, D, ...) as tokens (B, N, D)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class Windows(nn.Module):
    """A series (B, C, T) as non-overlapping windows (B, T / kernel, C * kernel)."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        windows = x.unfold(-1, self.kernel, self.kernel)  # (B, C, N, kernel)
        return windows.transpose(1, 2).flatten(2)  # (B, N, C * kernel), channel-major


class StemTokens(nn.Module):
    """A stem's tokens behind a class token, plus learned positions.

    Args:
        name: the stem's name in the state dict.
        stem: (B, ...) -> (B, N, D).
        count: N, without the class token.
        positions: the positions' name in the state dict.
    """

    def __init__(
        self,
        name: str,
        stem: nn.Module,
        count: int,
        width: int,
        positions: str = "pos_embedding_helper.pos_embed",
    ) -> None:
        super().__init__()
        self.stem_name, self.positions, self.count = name, positions, count
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.add_module(name, stem)
        table = nn.Parameter(torch.randn(1, count + 1, width) * 0.02)
        owner, _, leaf = positions.rpartition(".")
        if owner:
            self.add_module(owner, nn.ParameterDict({leaf: table}))
        else:
            self.register_parameter(leaf, table)

    def forward(self, x: Tensor) -> Tokens:
        """Tokens of a batch, read at the class token.

        Raises:
            ValueError: if the input's size does not give `count` tokens.
        """
        values = self.get_submodule(self.stem_name)(x)  # (B, N, D)
        if values.shape[1] != self.count:
            raise ValueError(
                f"an input of shape {tuple(x.shape)} gives {values.shape[1]} tokens where the "
                f"trunk has {self.count} positions; use the encoder's prepare()"
            )
        batch = len(values)
        values = torch.cat([self.cls_token.expand(batch, -1, -1), values], dim=1)  # (B, 1 + N, D)
        return Tokens(
            values + self.get_parameter(self.positions),
            values.new_ones(values.shape[:2], dtype=torch.bool),
            torch.zeros(batch, dtype=torch.long, device=values.device),
        )


class TextTokens(nn.Module):
    """Embedded token ids (B, N), causal, read at the largest id, the end of the text."""

    mask: Tensor

    def __init__(self, context: int, vocab_size: int, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, context, width) * 0.02)
        self.register_buffer("mask", torch.full((context, context), -math.inf).triu(1))

    def forward(self, ids: Tensor) -> Tokens:
        """Tokens of a batch of ids.

        Raises:
            ValueError: if the ids are not `context` long.
        """
        if ids.shape[1] != len(self.mask):
            raise ValueError(
                f"{ids.shape[1]} token ids per text where the trunk takes {len(self.mask)}; "
                f"use tokenize(tokenizer, texts, {len(self.mask)})"
            )
        pooled_index = ids.argmax(dim=1)
        mask = torch.arange(ids.shape[1], device=ids.device) <= pooled_index[:, None]  # (B, N)
        return Tokens(self.token_embedding(ids) + self.pos_embed, mask, pooled_index, self.mask)


def vision_stem(size: int, patch: int, frames: int, width: int) -> StemTokens:
    """One token per patch of `frames` frames, by a convolution without a bias."""
    kernel = (frames, patch, patch)
    conv = nn.Conv3d(3, width, kernel, stride=kernel, bias=False)
    stem = OrderedDict(proj=nn.Sequential(RepeatFrames(frames), conv), flatten=Flatten())
    return StemTokens("rgbt_stem", nn.Sequential(stem), (size // patch) ** 2, width)


def patch_stem(
    name: str, height: int, length: int, kernel: int, stride: int, width: int
) -> StemTokens:
    """One token per (possibly overlapping) patch of a one-channel map (B, 1, height, length)."""
    stem = OrderedDict(
        proj=nn.Conv2d(1, width, kernel, stride=stride, bias=False),
        flatten=Flatten(),
        norm_layer=nn.LayerNorm(width),
    )
    count = ((height - kernel) // stride + 1) * ((length - kernel) // stride + 1)
    return StemTokens(name, nn.Sequential(stem), count, width)


def imu_stem(samples: int, kernel: int, width: int) -> StemTokens:
    """One token per `kernel` readings of six channels (B, 6, samples)."""
    stem = OrderedDict(
        windows=Windows(kernel),
        proj=nn.Linear(IMU_CHANNELS * kernel, width, bias=False),
        norm_layer=nn.LayerNorm(width),
    )
    return StemTokens("imu_stem", nn.Sequential(stem), samples // kernel, width, "pos_embed")


class DropPath(nn.Module):
    """Skips a residual branch for a random part of the batch while training (Huang et al. 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = x.new_empty(len(x), 1, 1).bernoulli_(1 - self.rate)
        return x * keep / (1 - self.rate)


class MLP(nn.Module):
    """Two layers, four times as wide between them, with the exact GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int, kv_bias: bool, drop_path: float) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, add_bias_kv=kv_bias, batch_first=True)
        self.norm_1 = nn.LayerNorm(width, eps=EPS)
        self.mlp = MLP(width)
        self.norm_2 = nn.LayerNorm(width, eps=EPS)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, causal: Tensor | None) -> Tensor:
        y = self.norm_1(x)
        y, _ = self.attn(y, y, y, attn_mask=causal, need_weights=False)
        x = x + self.drop_path(y)
        x = x + self.drop_path(self.mlp(self.norm_2(x)))
        return x


class TransformerTrunk(nn.Module):
    """Transformer blocks, behind a LayerNorm where `pre_norm`: (B, N, D) -> (B, N, D)."""

    def __init__(
        self, width: int, blocks: int, heads: int, kv_bias: bool, pre_norm: bool, drop_path: float
    ) -> None:
        super().__init__()
        norms = [nn.LayerNorm(width, eps=EPS)] if pre_norm else []
        self.pre_transformer_layer = nn.Sequential(*norms)
        rates = [drop_path * i / max(blocks - 1, 1) for i in range(blocks)]
        self.blocks = nn.ModuleList(Block(width, heads, kv_bias, rate) for rate in rates)

    def forward(self, x: Tensor, causal: Tensor | None = None) -> Tensor:
        x = self.pre_transformer_layer(x)
        for block in self.blocks:
            x = block(x, causal)
        return x


class LogitScale(nn.Module):
    """Multiplies by exp(log_logit_scale), at most 100."""

    log_logit_scale: Tensor

    def __init__(self, scale: float, learned: bool) -> None:
        super().__init__()
        log_scale = torch.tensor(math.log(scale))
        if learned:
            self.log_logit_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_logit_scale", log_scale)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.log_logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)


class Normalize(nn.Module):
    """Scales every row to unit length."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1)


def head(width: int, embedding: int, dropout: float | None = None) -> nn.Sequential:
    """LayerNorm and projection of the one token read: (B, D) -> (B, E).

    The empty second place is where the published heads choose the token; here that comes first,
    with the same result, because a LayerNorm treats tokens alone.
    """
    extra = [] if dropout is None else [nn.Dropout(dropout)]
    projection = nn.Linear(width, embedding, bias=False)
    return nn.Sequential(nn.LayerNorm(width, eps=EPS), nn.Identity(), *extra, projection)


def text_head(width: int, embedding: int) -> nn.Sequential:
    """As `head`, under the name that the published text head has."""
    proj = nn.Sequential(nn.LayerNorm(width, eps=EPS), nn.Linear(width, embedding, bias=False))
    return nn.Sequential(OrderedDict(proj=proj))


def postprocessor(scale: float | None, learned: bool) -> nn.Sequential:
    """Unit length, then times a scale where there is one."""
    return nn.Sequential(Normalize(), *([] if scale is None else [LogitScale(scale, learned)]))


def sinusoids(count: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines of `count` positions (Vaswani et al. 2017, section 3.5): (count, width)."""
    half = (width + 1) // 2
    rates = torch.exp(torch.arange(half, device=like.device) * (-math.log(10_000.0) / half))
    angles = torch.arange(count, device=like.device)[:, None] * rates  # (count, half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width].to(like.dtype)
