"""Attention of transformers' interface, with what a module's prefix adds to it.

Shapes: B rows, T positions, H heads of width d, M prefixes of P prompts each, D width of a block.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, eager_mask, sdpa_mask

from anymodal.fusion.modules import without_adapters

_NAMES = {"sdpa": "anymodal_prefix", "eager": "anymodal_prefix_eager"}
"""Of the interface's functions here, by that which they begin with."""
_PREFIX = "anymodal_prefix"
"""The attribute by which an attention module has its prefix."""
_EAGER = "eager_attention_forward"
"""The function of each modeling file, which knows what its attention has beside scores, such as
sinks (GPT-OSS) or a cap (Gemma 2).
"""

Prefix = Callable[[Tensor, float | None], Tensor]
"""Queries (B, H, T, d) and the scaling of scores to what is added to the output (B, T, H, d)."""


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **more: Any,
) -> tuple[Tensor, None]:
    """transformers' attention, and what the module's prefix adds (B, T, H, d)."""
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    return _with_prefix(module, output, query, more), None


def _attend_eagerly(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **more: Any,
) -> tuple[Tensor, None]:
    """The attention of the module's own file, and what its prefix adds (B, T, H, d)."""
    own = getattr(sys.modules[type(module).__module__], _EAGER)
    output, _ = own(module, query, key, value, attention_mask, **more)
    return _with_prefix(module, output, query, more), None


def _with_prefix(
    module: nn.Module, output: Tensor, query: Tensor, more: Mapping[str, Any]
) -> Tensor:
    prefix: Prefix | None = vars(module).get(_PREFIX)
    return output if prefix is None else output + prefix(query, more.get("scaling"))


AttentionInterface.register(_NAMES["sdpa"], _attend)
AttentionMaskInterface.register(_NAMES["sdpa"], sdpa_mask)
AttentionInterface.register(_NAMES["eager"], _attend_eagerly)
AttentionMaskInterface.register(_NAMES["eager"], eager_mask)


def let_read_prefix(backbone: Any, prefixes: Mapping[nn.Module, Prefix]) -> None:
    """Let a model's attention modules add their prefixes to what they compute as before.

    Raises:
        ValueError: if its attention isn't one of transformers' interface.
    """
    config = backbone.config
    implementation = config._attn_implementation
    files = {sys.modules[type(attention).__module__] for attention in prefixes}
    if (
        not getattr(backbone, "_supports_attention_backend", False)
        or implementation not in _NAMES
        or (implementation == "eager" and not all(hasattr(file, _EAGER) for file in files))
    ):
        raise ValueError(
            f"{type(backbone).__name__} computes attention by code of its own "
            f"({implementation}), which takes no prefix; take another fusion, such as "
            "GatedCrossAttention, or another language model"
        )
    for attention, prefix in prefixes.items():
        vars(attention)[_PREFIX] = prefix
    for each in (config, config.get_text_config()):
        each._attn_implementation = _NAMES[implementation]


def attention_of(block: nn.Module) -> Any:
    """A block's attention module.

    Raises:
        ValueError: if keys and values aren't maps of their own.
    """
    for module in block.modules():
        maps = (getattr(module, name, None) for name in ("k_proj", "v_proj"))
        if hasattr(module, "head_dim") and all(isinstance(each, nn.Module) for each in maps):
            return module
    raise ValueError(
        f"the attention of a {type(block).__name__} has no k_proj and v_proj to map prompts by; "
        "take another fusion, such as GatedCrossAttention, or another language model"
    )


def keys_and_values(attention: Any, prompts: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (…, P, kv heads, d) of prompts (…, P, D), by a model's own maps and norms."""
    pairs = []
    for name in "kv":
        linear = without_adapters(getattr(attention, f"{name}_proj"))
        values = linear(prompts.to(linear.weight.dtype))
        norm = getattr(attention, f"{name}_norm", None)
        weight = getattr(norm, "weight", None)
        # OLMo 2's is of all heads at once.
        is_of_all = isinstance(weight, Tensor) and tuple(weight.shape) == (values.shape[-1],)
        if norm is not None and is_of_all:
            values, norm = norm(values), None
        values = values.unflatten(-1, (-1, int(attention.head_dim)))
        pairs.append(values if norm is None else norm(values))
    return pairs[0], pairs[1]


def read_prefix(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None, shares: Tensor | None
) -> Tensor:
    """Attention of queries (B, H, T, d) to each of several prefixes, (B or 1, M, P, heads, d).

    Args:
        query: turned by their positions, as prompts' keys are not.
        key: of the prefixes.
        value: of the prefixes.
        scaling: of scores; None for d^-½.
        shares: which prefix a position reads (B, T, M); None for the only one.
    """
    groups = query.shape[1] // key.shape[3]
    key, value = (each.to(query.dtype).repeat_interleave(groups, 3) for each in (key, value))
    scores = torch.einsum("bhtd,bmphd->bhtmp", query, key.expand(len(query), -1, -1, -1, -1))
    scores = scores * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    weights = scores.float().softmax(-1).to(query.dtype)
    if shares is not None:
        weights = weights * shares[:, None, :, :, None]
    return torch.einsum("bhtmp,bmphd->bthd", weights, value.expand(len(query), -1, -1, -1, -1))
