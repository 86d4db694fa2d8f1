"""Deeper language models: `python -m anymodal.toybox.deepening FROM TO LAYERS`."""

from __future__ import annotations

import copy
import sys

from torch import nn
from transformers import PreTrainedModel

from anymodal import AnyModal


def deepen(model: PreTrainedModel, layers: int) -> None:
    """Give a language model further decoder layers in place, which change no result yet.

    Each is a copy of the layer before it that adds nothing to the residual stream until it trains,
    as in LLaMA Pro's block expansion (Wu et al. 2024, arXiv:2401.02415, section 3.2).

    Args:
        model: with its decoder layers as Llama's and Qwen3's, and no adapters.
        layers: that it is to have, a multiple of those it has.

    Raises:
        ValueError: if the number doesn't fit.
    """
    decoder = model.base_model
    before = len(decoder.layers)
    if layers <= before or layers % before:
        raise ValueError(
            f"{layers} decoder layers are no multiple of the {before} that the model has; take "
            f"{2 * before}"
        )
    times = layers // before
    stack = []
    for layer in decoder.layers:
        stack += [layer, *(_silent_copy(layer) for _ in range(times - 1))]
    for place, layer in enumerate(stack):
        layer.self_attn.layer_idx = place  # keys and values are cached by it
    decoder.layers = nn.ModuleList(stack)
    model.config.num_hidden_layers = layers
    model.config.layer_types = [kind for kind in model.config.layer_types for _ in range(times)]


def _silent_copy(layer: nn.Module) -> nn.Module:
    """A copy of a decoder layer whose attention and MLP give zeros."""
    silent = copy.deepcopy(layer)
    for name in ("self_attn.o_proj", "mlp.down_proj"):
        for weight in silent.get_submodule(name).parameters():
            nn.init.zeros_(weight)
    return silent


def write_deeper(source: str, folder: str, layers: str) -> None:
    """Write a model, its adapters merged and its language model deeper, into a folder."""
    model = AnyModal.from_pretrained(source)
    model.language.merge_adapters()
    deepen(model.language.model, int(layers))
    model.save_pretrained(folder, with_parts=True)


if __name__ == "__main__":
    write_deeper(*sys.argv[1:])
