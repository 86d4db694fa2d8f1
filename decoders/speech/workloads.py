"""Pieces of the work that holds most of a speaker's memory, on tensors without values."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def fill_cache(network: Any, config: Any, positions: int, most: int | None = None) -> object:
    """Keys and values of so many positions, as far as there are.

    Args:
        network: a causal one, which takes `inputs_embeds`.
        config: its width, as `hidden_size`.
        positions: of the conversation.
        most: that it has; the configuration's `max_position_embeddings` where None.
    """
    count = min(positions, int(config.max_position_embeddings if most is None else most))
    embeds = torch.zeros(1, count, int(config.hidden_size), dtype=network.dtype)
    return network(inputs_embeds=embeds, use_cache=True).past_key_values


def restore_paddings(codec: nn.Module) -> None:
    """Set what a codec's convolutions keep of themselves in buffers, lost on the meta device."""
    layers: list[Any] = [each for each in codec.modules() if hasattr(each, "padding_total")]
    for layer in layers:
        if not isinstance(layer.conv, nn.Conv1d):
            continue
        stride = torch.tensor(layer.conv.stride[0])
        kernel = torch.tensor((layer.conv.kernel_size[0] - 1) * layer.conv.dilation[0] + 1)
        layer.stride, layer.kernel_size, layer.padding_total = stride, kernel, kernel - stride
        layer.padding_right = layer.padding_total // 2
        layer.padding_left = layer.padding_total - layer.padding_right
