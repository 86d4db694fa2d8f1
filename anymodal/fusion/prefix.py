"""LLaMA-Adapter's fusion: learned prompts that attention reads beside the text, behind a gate.

Sources: Zhang et al. 2023 (LLaMA-Adapter), arXiv:2303.16199, sections 3.1 to 3.3; Gao et al. 2023
(LLaMA-Adapter V2), arXiv:2304.15010, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.fusion.base import Fusion
from anymodal.fusion.modules import weighted_modules, without_adapters
from anymodal.fusion.prefix_attention import (
    attention_of,
    keys_and_values,
    let_read_prefix,
    read_prefix,
)
from anymodal.language.model import LanguageModel
from anymodal.types import Features


class AdapterPrefix(Fusion):
    """Learned prompts in the upper blocks, whose share of attention begins with nothing.

    Each head adds tanh(gate) of its attention to the prompts, with a softmax of their own, to that
    to the text. Gates start from 0, so that the model starts as it is, to the bit. Prompts' keys
    and values are the model's own maps of them, without rotation, and all positions see them. It
    reads no media: it teaches a frozen model to follow instructions, with or without a projection.

    Args:
        widths: D_m of each modality.
        length: prompts of a block.
        layers: blocks with prompts, the upper ones; None for all.
        biased: globs over the names of linear layers in a block which get a bias, from zeros, as V2
            has them: `["*q_proj", "*o_proj", "mlp.*"]`.
        scaled: whether gates have a factor more, from 1, as V2's later weights.

    Raises:
        ValueError: if there are no prompts; when it is attached, if the model's attention has no
            k_proj and v_proj, or isn't one of transformers' own interface.
    """

    takes_media = False
    reads_features = False
    merges = False  # prompts go through the maps without adapters

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        length: int = 10,
        layers: int | None = None,
        biased: Sequence[str] = (),
        scaled: bool = False,
    ) -> None:
        super().__init__(widths=widths)
        for name, value in (("length", length), ("layers", layers)):
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        self.length, self.layers, self.biased, self.scaled = length, layers, list(biased), scaled
        self.prompts, self.gates = nn.ParameterDict(), nn.ParameterDict()
        self.gate_scales, self.biases = nn.ParameterDict(), nn.ModuleDict()

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        count = self.layers or len(blocks)
        if count > len(blocks):
            raise ValueError(f"layers={count} is more than the model's {len(blocks)} blocks")
        config: Any = language.backbone.config
        heads = int(config.get_text_config().num_attention_heads)
        width, attentions = self.block_width(language), {}
        for place, block in enumerate(blocks):
            self._add_biases(place, block)
            if place < len(blocks) - count:
                continue
            name = str(place)
            self.prompts[name] = nn.Parameter(torch.randn(self.length, width))
            self.gates[name] = nn.Parameter(torch.zeros(heads))
            if self.scaled:
                self.gate_scales[name] = nn.Parameter(torch.ones(1))
            attention = attention_of(block)
            attentions[attention] = partial(self._read_prefix, name, attention)
        let_read_prefix(language.backbone, attentions)

    def _add_biases(self, place: int, block: nn.Module) -> None:
        biases = nn.ParameterDict()
        for name, module in weighted_modules(block):
            if any(fnmatchcase(name, glob) for glob in self.biased):
                weight = without_adapters(module).weight
                bias = nn.Parameter(torch.zeros(weight.shape[0]))
                biases[name.replace(".", "_")] = bias
                self.after(module, partial(_add_bias, bias))
        if biases:
            self.biases[str(place)] = biases

    def _read_prefix(
        self, name: str, attention: nn.Module, query: Tensor, scaling: float | None
    ) -> Tensor:
        """Attention output of queries (B, H, T, d) over the prompts (B, T, H, d)."""
        key, value = (each[None, None] for each in keys_and_values(attention, self.prompts[name]))
        return self._gated(name, read_prefix(query, key, value, scaling, None))

    def _gated(self, name: str, output: Tensor) -> Tensor:
        gate = self.gates[name].tanh()
        if self.scaled:
            gate = gate * self.gate_scales[name]
        gated: Tensor = output * gate[:, None].to(output.dtype)
        return gated


class MediaAdapterPrefix(AdapterPrefix):
    """Prompts to which what is seen is added: LLaMA-Adapter V2's for media.

    Learned queries and a medium's features go through a transformer; what comes of the queries is
    added to the prompts of all blocks. A position reads the prompts of the last medium before it;
    one without any those that are learned alone. (The paper has one image, before all text.)

    Args:
        widths: D_m of each modality.
        length: prompts of a block, and queries.
        layers: blocks with prompts, the upper ones; None for all.
        biased: see `AdapterPrefix`.
        scaled: see `AdapterPrefix`.
        width: of the transformer.
        depth: its layers.
        heads: its attention heads.
        expansion: of its MLPs' hidden layers.

    Raises:
        ValueError: see `AdapterPrefix`; or if `heads` doesn't divide the width.
    """

    takes_media = True
    reads_features = True

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        length: int = 10,
        layers: int | None = None,
        biased: Sequence[str] = (),
        scaled: bool = False,
        width: int = 768,
        depth: int = 8,
        heads: int = 16,
        expansion: int = 4,
    ) -> None:
        super().__init__(widths=widths, length=length, layers=layers, biased=biased, scaled=scaled)
        if width % heads:
            raise ValueError(f"width={width} must be a multiple of heads={heads}")
        self.width = width
        self.inputs = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width))
                for name, inputs in widths.items()
            }
        )
        self.queries = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(length, width)) for name in widths}
        )
        self.layers_of_reader = nn.ModuleList(
            _ReaderLayer(width, heads, expansion) for _ in range(depth)
        )
        self.output = nn.Sequential()

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        super()._attach(language, blocks)
        width = self.block_width(language)
        self.output = nn.Sequential(nn.Linear(self.width, width), nn.LayerNorm(width))

    def read(self, modality: str, features: Features) -> Features:
        values, mask = features
        values = self.inputs[modality](values.to(self.queries[modality].dtype))
        queries = self.queries[modality].expand(len(values), -1, -1)
        states = torch.cat([queries, values], 1)  # (B, P + N, W)
        visible = F.pad(mask, (self.length, 0), value=True)[:, None, None]
        for layer in self.layers_of_reader:
            states = layer(states, visible)
        prompts = self.output(states[:, : self.length])
        return Features(prompts, torch.ones_like(prompts[..., 0], dtype=torch.bool))

    def _read_prefix(
        self, name: str, attention: nn.Module, query: Tensor, scaling: float | None
    ) -> Tensor:
        current, own = self.current, self.prompts[name]
        media = current.media
        if media is None or not current.has_media:
            return super()._read_prefix(name, attention, query, scaling)
        # (B, M, P, heads, d), and those of no medium in front.
        seen = media.made_by(
            (id(self), name), lambda states: keys_and_values(attention, own + states)
        )
        plain = keys_and_values(attention, own)
        key, value = (
            torch.cat([one.expand(len(more), 1, *one.shape), more], 1)
            for one, more in zip(plain, seen, strict=True)
        )
        latest = current.visible(latest=True)  # (B, T, M)
        shares = torch.cat([~latest.any(-1, keepdim=True), latest], -1)  # (B, T, M + 1)
        return self._gated(name, read_prefix(query, key, value, scaling, shares))


def _add_bias(bias: Tensor, _: Tensor, result: Tensor) -> Tensor:
    return result + bias.to(result.dtype)


class _ReaderLayer(nn.Module):
    """A layer of ViT (Dosovitskiy et al. 2021, arXiv:2010.11929): norms first, states (B, N, W)."""

    def __init__(self, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = (
            nn.Linear(width, expansion * width),
            nn.Linear(expansion * width, width),
        )

    def forward(self, states: Tensor, visible: Tensor) -> Tensor:
        query, key, value = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in self.qkv(self.norm1(states)).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, visible)
        states = states + self.proj(mixed.transpose(1, 2).flatten(2))
        output: Tensor = states + self.fc2(F.gelu(self.fc1(self.norm2(states))))
        return output
