"""What a model is made of, part by part: parameters, what trains, bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from anymodal.core import ComposedModel
from anymodal.training.objectives import Objective

PURPOSES = ("weights", "cache", "gradients", "optimizer", "average", "activations")
OTHER = "losses, backward"
"""Where work is done that no part does."""


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


def list_parts(model: nn.Module, held: Mapping[tuple[str, str], int]) -> list[Part]:
    """Every part of a model, each weight counted once.

    A part that several names lead to, as one ImageBind behind several encoders, stands under all
    of them. Adapters and new token rows stand apart from the model they were added to.

    Args:
        model: on the meta device or not.
        held: bytes by purpose and part; what belongs to no part comes last.
    """
    names = names_by_tensor(model)
    kinds = {name: type(unit).__name__ for unit, name in _named(model)}
    counts = dict.fromkeys([*names.values(), *(part for _, part in held)], (0, 0))
    for parameter in model.parameters():
        name = names.get(id(parameter), "")
        whole, training = counts.get(name, (0, 0))
        size = parameter.numel()
        counts[name] = whole + size, training + size * parameter.requires_grad
    purposes = sorted({purpose for purpose, _ in held}, key=PURPOSES.index)
    return [
        Part(
            name or OTHER,
            kinds.get(name, ""),
            *counts[name],
            {purpose: held.get((purpose, name), 0) for purpose in purposes},
        )
        for name in sorted(counts, key=lambda name: not name)
        if any(counts[name]) or any(held.get((purpose, name)) for purpose in purposes)
    ]


def root(objective: Objective[Any, Any]) -> nn.Module:
    """The module under which an objective's parts have names: a composed model, or what holds the
    only part.
    """
    model = objective.model
    return model if isinstance(model, ComposedModel | nn.ModuleDict) else objective


def names_by_tensor(model: nn.Module) -> dict[int, str]:
    """The part that each parameter and buffer belongs to, by the tensor's `id`."""
    found: dict[int, str] = {}
    for unit, name in _named(model):
        for inner, tensor in [*unit.named_parameters(), *unit.named_buffers()]:
            found.setdefault(id(tensor), name + _added(inner))
    return found


def names_by_module(model: nn.Module) -> dict[int, str]:
    """The part that each module belongs to, by the module's `id`."""
    return {id(module): name for unit, name in _named(model) for module in unit.modules()}


def _named(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Units and their names; those that share weights have one name together."""
    holders: dict[int, list[str]] = {}
    found = list(units(model))
    for name, unit in found:
        for tensor in [*unit.parameters(), *unit.buffers()]:
            holders.setdefault(id(tensor), []).append(name)
    named = []
    for name, unit in found:
        first = next((id(t) for t in [*unit.parameters(), *unit.buffers()]), None)
        named.append((unit, name if first is None else _joined(holders[first])))
    return named


def units(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The named parts below a model: mappings and AnyModal's own wrappers are looked into."""
    ours = type(module).__module__.startswith("anymodal.")
    inner = list(module.named_children())
    wraps = ours and len(inner) == 1 and not list(module.parameters(recurse=False))
    if name and not wraps and not isinstance(module, nn.ModuleDict):
        yield name, module
        return
    for child, part in inner:
        # What only leads to one other module has a name that tells a reader nothing.
        quiet = wraps and name and not isinstance(module, nn.ModuleDict)
        yield from units(part, name if quiet else f"{name}.{child}".lstrip("."))


def _added(name: str) -> str:
    if "lora_" in name:
        return ".adapters"
    return ".rows" if name in ("rows", "output_rows") else ""


def _joined(names: list[str]) -> str:
    """`encoders.a` and `encoders.b` as `encoders.a+b`."""
    heads = {name.rpartition(".")[0] for name in names}
    if len(names) == 1 or len(heads) > 1:
        return "+".join(dict.fromkeys(names))
    tails = "+".join(dict.fromkeys(name.rpartition(".")[2] for name in names))
    return f"{heads.pop()}.{tails}".lstrip(".")
