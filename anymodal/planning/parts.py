"""What a model is made of, part by part: parameters, what trains, bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Part:
    """One part: its name and class, how many parameters, how many of them train, and bytes."""

    name: str
    kind: str
    parameters: int
    trainable: int
    weights: int


def list_parts(model: nn.Module) -> list[Part]:
    """Every part of a model, each weight counted once.

    A part that several names lead to, as one ImageBind behind several encoders, stands under all
    of them. Adapters and new token rows stand apart from the model they were added to.
    """
    holders: dict[int, list[tuple[str, nn.Module]]] = {}
    tensors: dict[int, tuple[str, Tensor]] = {}
    for name, unit in units(model):
        for inner, tensor in [*unit.named_parameters(), *unit.named_buffers()]:
            holders.setdefault(id(tensor), []).append((name, unit))
            tensors.setdefault(id(tensor), (_added(inner), tensor))
    groups: dict[tuple[str, str], list[Tensor]] = {}
    for key, (added, tensor) in tensors.items():
        label = _joined([name for name, _ in holders[key]]) + added
        kind = "" if added else type(holders[key][0][1]).__name__
        groups.setdefault((label, kind), []).append(tensor)
    return [_part(label, kind, tensors) for (label, kind), tensors in groups.items()]


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


def size_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, each counted once."""
    return sum(tensor.nbytes for tensor in {id(t): t for t in tensors}.values())


def weights_of(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    return size_of([*module.parameters(), *module.buffers()])


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


def _part(name: str, kind: str, tensors: list[Tensor]) -> Part:
    parameters = [tensor for tensor in tensors if isinstance(tensor, nn.Parameter)]
    training = sum(p.numel() for p in parameters if p.requires_grad)
    return Part(name, kind, sum(p.numel() for p in parameters), training, size_of(tensors))
