"""The parts of a model: parameters, how many of them train, bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch import nn

from anymodal.core import ComposedModel
from anymodal.fusion import Fusion
from anymodal.training.objectives import Objective

PURPOSES = ("weights", "cache", "gradients", "optimizer", "average", "activations")
OTHER = "losses, backward"
"""Label of work that no part does."""


@dataclass(frozen=True)
class Part:
    """One part: its name and class, how many parameters, how many of them train, and bytes of a
    device's memory by purpose.
    """

    name: str
    kind: str
    parameters: int
    trainable: int
    bytes: dict[str, int]


def list_parts(model: nn.Module, sizes: Mapping[tuple[str, str], int]) -> list[Part]:
    """Every part of a model, each weight counted once.

    A part that several names lead to, as one ImageBind behind several encoders, stands under all
    of them. Adapters and new token rows stand apart from the model they were added to.

    Args:
        model: on the meta device or not.
        sizes: bytes by purpose and part; what belongs to no part comes last.
    """
    names = names_by_tensor(model)
    kinds = {name: type(unit).__name__ for unit, name in _label_units(model)}
    counts = dict.fromkeys([*names.values(), *(part for _, part in sizes)], (0, 0))
    for parameter in model.parameters():
        name = names.get(id(parameter), "")
        total, training = counts.get(name, (0, 0))
        size = parameter.numel()
        counts[name] = total + size, training + size * parameter.requires_grad
    purposes = sorted({purpose for purpose, _ in sizes}, key=PURPOSES.index)
    return [
        Part(
            name or OTHER,
            kinds.get(name, ""),
            *counts[name],
            {purpose: sizes.get((purpose, name), 0) for purpose in purposes},
        )
        for name in sorted(counts, key=lambda name: not name)
        if any(counts[name]) or any(sizes.get((purpose, name)) for purpose in purposes)
    ]


def root(objective: Objective[Any, Any]) -> nn.Module:
    """The module under which an objective's parts have names: a composed model, or what holds the
    only part.
    """
    model = objective.model
    return model if isinstance(model, ComposedModel | nn.ModuleDict) else objective


def names_by_tensor(model: nn.Module) -> dict[int, str]:
    """The part that each parameter and buffer belongs to, by the tensor's `id`."""
    names: dict[int, str] = {}
    for unit, name in _label_units(model):
        for inner, tensor in [*unit.named_parameters(), *unit.named_buffers()]:
            names.setdefault(id(tensor), name + _suffix(inner))
    return names


def names_by_module(model: nn.Module) -> dict[int, str]:
    """The part that each module belongs to, by the module's `id`."""
    return {id(module): name for unit, name in _label_units(model) for module in unit.modules()}


def _label_units(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Units and their names; those that share weights have one name together."""
    holders: dict[int, list[str]] = {}
    pairs = list(units(model))
    for name, unit in pairs:
        for tensor in [*unit.parameters(), *unit.buffers()]:
            holders.setdefault(id(tensor), []).append(name)
    labels = []
    for name, unit in pairs:
        first = next(chain(unit.parameters(), unit.buffers()), None)
        labels.append((unit, name if first is None else _join_names(holders[id(first)])))
    return labels


def units(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The named parts below a model: mappings and AnyModal's own wrappers are looked into."""
    is_own = type(module).__module__.startswith("anymodal.")
    inner = list(module.named_children())
    wraps = is_own and len(inner) == 1 and not list(module.parameters(recurse=False))
    wraps = wraps and not isinstance(module, Fusion)  # with a part for each block
    if name and not wraps and not isinstance(module, nn.ModuleDict):
        yield name, module
        return
    for child, part in inner:
        # What only leads to one other module has a name that tells a reader nothing.
        hides_name = wraps and name and not isinstance(module, nn.ModuleDict)
        yield from units(part, name if hides_name else f"{name}.{child}".lstrip("."))


def _suffix(name: str) -> str:
    if "lora_" in name:
        return ".adapters"
    return ".rows" if name in ("rows", "output_rows") else ""


def _join_names(names: list[str]) -> str:
    """`encoders.a` and `encoders.b` as `encoders.a+b`."""
    heads = {name.rpartition(".")[0] for name in names}
    if len(names) == 1 or len(heads) > 1:
        return "+".join(dict.fromkeys(names))
    tails = "+".join(dict.fromkeys(name.rpartition(".")[2] for name in names))
    return f"{heads.pop()}.{tails}".lstrip(".")
