"""Targets: the trusted names that a `_target_` may have, and their objects."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from anymodal.config.values import ConfigError, shorten, suggest

_KINDS = ("encoders", "decoders", "fusion", "heads", "language", "projection")
TRUSTED = tuple(f"anymodal.{name}" for name in _KINDS)
"""Packages whose targets any configuration may name, a downloaded checkpoint's included.

Parts alone: what reads further configurations, runs trainings or writes files isn't among them.
"""


def resolve_target(dotted: str, trusted_packages: Iterable[str] = ()) -> Callable[..., Any]:
    """The object that a `_target_` names, if its package is trusted or allowed.

    Raises:
        ConfigError: for a package outside the allow-list, or a name that doesn't exist.
    """
    if not isinstance(dotted, str):
        raise ConfigError(f"_target_ must be a dotted path, not {shorten(dotted)}")
    # Before any import: importing runs a module's code.
    if len(dotted) > 300 or not all(name.isidentifier() for name in dotted.split(".")):
        raise ConfigError(f"_target_ {shorten(dotted)} is no dotted path")
    packages = (*TRUSTED, *trusted_packages)
    if not _inside(dotted, packages):
        raise ConfigError(
            f"_target_ {dotted!r} is outside the allowed packages ({', '.join(packages)}); if you "
            f"trust it, add its package to `trusted_packages:` at the top of your own configuration"
        )
    names = dotted.split(".")
    # The longest part that can be imported is the module; what follows are its attributes.
    for count in range(len(names), 0, -1):
        module_name = ".".join(names[:count])
        try:
            target: object = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # The module is there, and imports something that isn't.
            if error.name and not module_name.startswith(error.name):
                raise ConfigError(f"_target_ {dotted!r} needs {error.name!r} installed") from error
            continue
        target = _walk_attributes(target, names[count:], dotted)
        # Trusted packages import others' functions, which a dotted path could reach through them.
        home = getattr(target, "__module__", None) or ""
        if not _inside(home, packages):
            raise ConfigError(f"_target_ {dotted!r} is defined in {home!r}; name it there")
        return typing.cast(Callable[..., Any], target)
    raise ConfigError(f"_target_ {dotted!r}: there is no module {names[0]!r} to import")


def _inside(dotted: str, roots: Iterable[str]) -> bool:
    return any(dotted == root or dotted.startswith(root + ".") for root in roots)


def _walk_attributes(target: object, names: list[str], dotted: str) -> Any:
    """The end of a dotted path: a class, a function, or a class's own constructor."""
    for name in names:
        if name.startswith("_") or not hasattr(target, name):
            choices = getattr(target, "__all__", None) or [n for n in dir(target) if n[0] != "_"]
            raise ConfigError(f"_target_ {dotted!r}: no {name!r} there{suggest(name, choices)}")
        owner, target = target, getattr(target, name)
        # A trusted module's imports (`os`, `subprocess`) are not to be reached through it.
        if isinstance(target, types.ModuleType):
            raise ConfigError(f"_target_ {dotted!r} reaches into another module; name it directly")
        if inspect.isclass(owner) and inspect.isfunction(target):
            raise ConfigError(f"_target_ {dotted!r} is a method of objects, not of the class")
    if not callable(target):
        raise ConfigError(f"_target_ {dotted!r} is not a class or function")
    return target
