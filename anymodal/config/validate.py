"""Parts of a configuration held against signatures, without building anything."""

from __future__ import annotations

import contextlib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from anymodal.config.targets import resolve_target
from anymodal.config.values import ConfigError, check_argument, shorten, suggest


def validate_node(
    node: object,
    *,
    provided: Iterable[str] = (),
    parts: Iterable[str] = (),
    trusted_packages: Iterable[str] = (),
    place: str = "",
    base: type | None = None,
) -> None:
    """Check every part in a configuration against its signature, building nothing.

    Args:
        node: a resolved configuration (plain containers).
        provided: names of arguments of this very part that the framework will fill in.
        parts: names of the shared objects that there are.
        trusted_packages: packages trusted beside AnyModal's own.
        place: where the node stands, for messages.
        base: what this very part must be; see `check_base`.

    Raises:
        ConfigError: naming the place, the wrong key and the nearest right one.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            validate_node(
                item, parts=parts, trusted_packages=trusted_packages, place=f"{place}[{index}]"
            )
    if not isinstance(node, Mapping):
        return
    # A reference has no arguments, so nothing within it is checked.
    if "_part_" in node:
        check_part(node, parts, place)
        return
    if "_target_" in node:
        target = resolve_target(node["_target_"], trusted_packages)
        # Arguments are bound here; that parts among them fit is checked on the way down.
        arguments = {key: value for key, value in node.items() if key != "_target_"}
        label = f"{place or 'configuration'} ({node['_target_']})"
        if base is not None:
            check_base(target, base, label)
        check_arguments(target, arguments, label, provided)
    for key, value in node.items():
        validate_node(
            value,
            parts=parts,
            trusted_packages=trusted_packages,
            place=f"{place}.{key}".lstrip("."),
        )


def check_base(target: Callable[..., Any], base: type, label: str) -> None:
    """Refuse a class that isn't a base's, a constructor of one, or a function that says it gives
    something else. What a function gives without saying it is known only once it is built.

    Raises:
        ConfigError: naming what it must be.
    """
    cls: object = target
    if inspect.ismethod(target):
        cls = target.__self__
    elif not inspect.isclass(target):
        hint = _hints(target).get("return")
        cls = typing.get_origin(hint) or hint
    if inspect.isclass(cls) and not issubclass(cls, base):
        raise ConfigError(f"{label} must be of class {base.__name__}, not {cls.__name__}")


def validate_parts(
    parts: Mapping[str, Any] | None, trusted_packages: Iterable[str] = ()
) -> list[str]:
    """Check the shared objects, each of which may refer to those before it; their names."""
    if not isinstance(parts or {}, Mapping):
        raise ConfigError(f"parts must be a mapping by name, not {shorten(parts)}")
    names: list[str] = []
    for name, node in (parts or {}).items():
        validate_node(node, parts=names, trusted_packages=trusted_packages, place=f"parts.{name}")
        names.append(name)
    return names


def check_part(node: Mapping[str, Any], parts: Iterable[str], place: str) -> None:
    """Refuse a reference to a shared part that isn\'t there, or that has arguments of its own."""
    name = node["_part_"]
    if len(node) > 1:
        raise ConfigError(f"{place} shares {name!r}, so it takes no arguments of its own")
    if not isinstance(name, str) or name not in parts:
        raise ConfigError(
            f"{place}: {shorten(name)} is not under `parts` before it{suggest(name, parts)}"
        )


def check_arguments(
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    label: str,
    provided: Iterable[str] = (),
) -> None:
    """Bind keyword arguments against a signature, without a call.

    Raises:
        ConfigError: for an unknown argument, a missing one, or one that can't be of its type.
    """
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name != "self"
    }
    kinds = {parameter.kind for parameter in inspect.signature(target).parameters.values()}
    for name in arguments:
        open_ended = isinstance(name, str) and inspect.Parameter.VAR_KEYWORD in kinds
        if name not in parameters and not open_ended:
            raise ConfigError(f"{label} takes no {shorten(name)}{suggest(name, parameters)}")
    names = {*arguments, *provided}
    absent = [n for n, p in parameters.items() if p.default is p.empty and n not in names]
    if absent:
        raise ConfigError(f"{label} needs {', '.join(absent)}")
    hints = _hints(target)
    for name, value in arguments.items():
        if name in parameters and name in hints:
            check_argument(value, hints[name], f"{label}.{name}")


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Type hints by argument, without those that only a type checker can resolve."""
    # Without decorators, whose wrappers have no hints.
    function: object = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    hints: dict[str, Any] = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        # One by one: a hint imported under TYPE_CHECKING would fail the others with it.
        alone = types.SimpleNamespace(__annotations__={name: hint})
        with contextlib.suppress(NameError, AttributeError):
            hints |= typing.get_type_hints(alone, getattr(function, "__globals__", {}))
    return hints
