"""Globs over parameter names: freezing, and training mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from anymodal.config import ConfigError


def match_names(names: Iterable[str], patterns: Iterable[str], place: str, what: str) -> set[str]:
    """The names that match a glob.

    Raises:
        ConfigError: for a glob that matches none: its place, and what it should have matched.
    """
    names = list(names)
    matches: set[str] = set()
    for pattern in patterns:
        names_of_pattern = {name for name in names if fnmatchcase(name, pattern)}
        if not names_of_pattern:
            raise ConfigError(f"{place}: {pattern!r} matches no {what}")
        matches |= names_of_pattern
    return matches


def freeze_all_but(model: nn.Module, patterns: Iterable[str]) -> list[str]:
    """Let only the parameters whose names match a glob train; their names come back.

    Raises:
        ConfigError: for a glob that matches no parameter, with the names that there are.
    """
    names = [name for name, _ in model.named_parameters()]
    tops = sorted({".".join(name.split(".")[:2]) for name in names})
    trainable = match_names(names, patterns, "trainable", f"parameter; there are {tops}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trainable)
    return [name for name in names if name in trainable]


def train_mode(model: nn.Module) -> None:
    """Put what trains into training mode, and leave what is frozen in evaluation mode."""
    model.eval()
    for module in _trained_modules(model):
        module.train()


def _trained_modules(model: nn.Module) -> Iterator[nn.Module]:
    """The outermost modules all of whose weights train, and those without weights beside some."""
    for module in model.modules():
        own = list(module.parameters())
        if own and all(parameter.requires_grad for parameter in own):
            yield module
        elif any(parameter.requires_grad for parameter in own):
            for child in module.children():  # such as the dropout before an adapter
                if next(child.parameters(), None) is None:
                    yield child


def trained_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Buffers of what trains, by name, such as the running means of a batch normalisation.

    Training changes them beside the weights, so a checkpoint needs both. Those that a module
    doesn't save itself are left out.
    """
    trained = {id(part) for module in _trained_modules(model) for part in module.modules()}
    return {
        f"{path}.{name}" if path else name: buffer
        for path, module in model.named_modules()
        if id(module) in trained
        for name, buffer in module.named_buffers(recurse=False)
        if name not in module._non_persistent_buffers_set
    }


@torch.no_grad()
def load_buffers(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Give a model's trained buffers the values of a checkpoint.

    Raises:
        ConfigError: for a buffer that the model doesn't have.
    """
    buffers = trained_buffers(model)
    if unknown := sorted(set(values) - set(buffers)):
        raise ConfigError(
            f"the checkpoint holds buffers that this model doesn't train, such as {unknown[:3]}; "
            "choose another output_dir= folder or the old configuration"
        )
    for name, value in values.items():
        buffers[name].copy_(value)
