"""Modules of a block, by name, as adapters leave them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn


def weighted_modules(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """A block's modules with a weight, by name; one with adapters around it as a whole."""
    inside: set[nn.Module] = set()
    for name, module in block.named_modules():
        weight = getattr(without_adapters(module), "weight", None)
        if module not in inside and isinstance(weight, Tensor):
            inside.update(module.modules())
            yield name, module


def without_adapters(module: nn.Module) -> Any:
    """A module without the adapters around it."""
    return getattr(module, "base_layer", module)


def merged_copy(module: nn.Module) -> nn.Module:
    """A copy of a module with no adapters and no hooks, and what adapters add in its weights.

    A `forward` that was set on the module itself isn't copied: a fusion's would take all of the
    fusion along.
    """
    own = vars(module).pop("forward", None)
    try:
        whole = nn.ModuleDict({"copy": copy.deepcopy(module)})
    finally:
        if own is not None:
            vars(module)["forward"] = own
    for name, layer in list(whole.named_modules()):
        for hooks in (layer._forward_hooks, layer._forward_pre_hooks):
            hooks.clear()
        if (base := getattr(layer, "base_layer", None)) is not None:
            layer.merge()
            parent, _, child = name.rpartition(".")
            setattr(whole.get_submodule(parent), child, base)
    return whole["copy"]
