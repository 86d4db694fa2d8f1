"""Globs over parameter names: freezing, and training mode."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn

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
    for module in model.modules():
        own = list(module.parameters())
        if own and all(parameter.requires_grad for parameter in own):
            module.train()
        elif any(parameter.requires_grad for parameter in own):
            for child in module.children():  # such as the dropout before an adapter
                if next(child.parameters(), None) is None:
                    child.train()
