"""What a forward pass keeps for the backward pass, by one rule for every transformer.

Each linear layer keeps its input, for its weight's gradient, and whatever follows it (attention,
an activation, the residual's norm) keeps its output: (in + out) values for every token. For the
layer of Korthikanti et al. 2022 (arXiv:2205.05198), section 4.1, with its 3 h, h, 4 h and h
outputs, these are 16 h values, 32 h bytes in half precision: their 34 s b h, less 2 s b h for masks
of dropout. The 5 a s² b of attention scores aren't kept, since scaled-dot-product attention is
fused. What later layers have beside that one is added: a gate keeps the activation's output too,
and an adapter's output, which is only added to its layer's, isn't kept.

Frozen layers need no input for their weight, so that a frozen model which a gradient passes keeps
`out` alone; a part that no gradient passes keeps nothing. Under mixed precision norms keep their
input in float32, and the passed layers keep copies of their weights in half precision.

Shapes: B samples in a batch, T tokens of a conversation, V ids, K soft tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from anymodal.decoders import Decoder, DiffusionDecoder
from anymodal.encoders import Encoder, ImageBind
from anymodal.heads import Head
from anymodal.language import LanguageModel
from anymodal.projection import Projection

MEDIUM_TOKENS = 257
"""Tokens of one medium from an encoder, those of a ViT with 16 × 16 patches and a class token."""


@dataclass(frozen=True)
class Load:
    """How much goes through a model at once.

    Args:
        batch: samples in a batch; each is taken to hold one medium and to ask for one of each kind.
        tokens: of one sample, in the language model.
        mixed: whether the pass runs in half precision over weights in full.
    """

    batch: int
    tokens: int
    mixed: bool = False

    def size(self, module: nn.Module) -> int:
        """Bytes of one activation of a module."""
        first = next((p for p in module.parameters() if p.is_floating_point()), None)
        return 2 if self.mixed or first is None else first.element_size()


def kept_by(module: nn.Module, tokens: float, load: Load) -> float:
    """Bytes that a module keeps of so many tokens, if a gradient passes it."""
    values, norms, copies = 0, 0, 0
    for name, layer in module.named_modules():
        values += _gate(layer)
        if isinstance(layer, nn.Linear):
            added = "lora_B" in name
            values += layer.out_features * (not added)
            values += layer.in_features * layer.weight.requires_grad
            copies += 2 * layer.weight.numel()
        elif isinstance(layer, nn.MultiheadAttention) and layer.in_proj_weight is not None:
            trains = layer.in_proj_weight.requires_grad
            values += (3 + trains) * layer.embed_dim
            copies += 2 * layer.in_proj_weight.numel()
        elif type(layer).__name__.endswith("Norm"):
            norms += max((weight.numel() for weight in layer.parameters(False)), default=0)
    return tokens * (values * load.size(module) + 4 * norms * load.mixed) + copies * load.mixed


def _gate(module: nn.Module) -> int:
    """Width of a gated MLP: one that has an activation and two layers of the same wide output."""
    children = list(module.children())
    if not any(type(c).__module__.endswith((".activation", ".activations")) for c in children):
        return 0
    wide = [int(getattr(c, "out_features", 0)) for c in children]
    return max((w for w in wide if wide.count(w) > 1), default=0)


def kept_scores(language: LanguageModel, load: Load) -> float:
    """Bytes of the loss: scores of every token (B T V) and, in float32, their copy and softmax."""
    return load.batch * load.tokens * language.vocab_size * (load.size(language) + 8)


def kept(model: nn.Module, losses: Any, load: Load) -> tuple[float, list[str]]:
    """Bytes that one training step's forward pass keeps, and the parts that no rule covers.

    Args:
        model: with `requires_grad` as the stage sets it.
        losses: names of the losses that the stage weighs.
        load: the batch.
    """
    total, unknown = 0.0, []
    reached = any(_trains(part) for part in model.modules() if isinstance(part, _BEFORE))
    for name, part in _main_parts(model):
        if isinstance(part, LanguageModel):
            if reached or _trains(part):
                total += kept_by(part, load.batch * load.tokens, load)
                total += kept_scores(part, load) * ("text" in losses)
        elif isinstance(part, DiffusionDecoder):
            if _trains(part) or "denoise" in losses:
                total += _kept_by_decoder(part, load)
        elif not _trains(part):
            continue
        elif isinstance(part, Projection):
            total += kept_by(part, load.batch * (MEDIUM_TOKENS + part.tokens), load)
        elif isinstance(part, Head):
            total += kept_by(part, load.batch * (part.signals + part.spec.length), load)
        elif isinstance(part, Encoder | ImageBind):
            total += kept_by(part, load.batch * MEDIUM_TOKENS, load)
        else:
            unknown.append(name)
    return total, unknown


_BEFORE = (Projection, Encoder, ImageBind)
"""What feeds a language model: where it trains, the gradient passes the language model too."""
_MAIN = (LanguageModel, Decoder, Projection, Head, Encoder, ImageBind)


def _main_parts(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The parts whose kind is known, each once, and what has weights and is of no known kind."""
    seen: set[int] = set()

    def walk(part: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
        weights = frozenset(id(p) for p in part.parameters())
        if not weights or weights <= seen:
            return
        if isinstance(part, _MAIN) or not type(part).__module__.startswith(("anymodal", "torch")):
            seen.update(weights)
            yield name, part
            return
        for child, inner in part.named_children():
            yield from walk(inner, f"{name}.{child}".lstrip("."))

    return walk(module, name)


def _kept_by_decoder(decoder: DiffusionDecoder, load: Load) -> float:
    """The caption encoder sees the caption, the denoiser the latents' patches; neither sees all."""
    total = 0.0
    for name, network in decoder.parts.items():
        if name == "vae" or not isinstance(network, nn.Module):
            continue
        if name.startswith("text_encoder"):
            total += kept_by(network, load.batch * decoder.family.length, load) * _trains(network)
        else:
            total += kept_by(network, load.batch * latent_tokens(decoder, network), load)
    return total


def latent_tokens(decoder: DiffusionDecoder, network: Any) -> int:
    """Tokens of one medium's latents in the denoiser."""
    positions = math.prod(decoder.family.latent_shape[1:])
    patch = getattr(network.config, "patch_size", None) or 1
    return positions // (int(patch) ** 2 if len(decoder.family.latent_shape) > 2 else 1)


def _trains(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
