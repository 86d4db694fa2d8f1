"""Parts of a configuration, built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from anymodal.config.targets import resolve_target
from anymodal.config.validate import check_part

BuildPart = Callable[[Callable[..., Any], Mapping[str, Any]], Any]
"""Gives the part that a target builds of keyword arguments."""


def call(target: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Build a part in the plain way."""
    return target(**arguments)


def instantiate(
    node: object,
    *,
    parts: dict[str, Any] | None = None,
    trusted_packages: Iterable[str] = (),
    build_part: BuildPart = call,
    **extra: object,
) -> Any:
    """Build the object that a part describes, inner parts first.

    Args:
        node: a resolved configuration (plain containers).
        parts: shared objects by name, what `{_part_: name}` stands for.
        trusted_packages: packages trusted beside AnyModal's own.
        build_part: how each part is built. It is handed on to targets with an argument of this
            name, which read configurations of their own.
        extra: arguments that the framework fills in where the node doesn't give them.
    """

    def inner(value: object) -> Any:
        return instantiate(
            value, parts=parts, trusted_packages=trusted_packages, build_part=build_part
        )

    if isinstance(node, list):
        return [inner(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    if "_part_" in node:
        check_part(node, parts or {}, "configuration")
        return (parts or {})[node["_part_"]]
    values = {key: inner(value) for key, value in node.items() if key != "_target_"}
    if "_target_" not in node:
        return values
    target = resolve_target(node["_target_"], trusted_packages)
    arguments = {**extra, **values}
    if build_part is not call and takes(target, "build_part"):
        arguments["build_part"] = build_part
    return build_part(target, arguments)


def takes(target: Callable[..., Any], name: str) -> bool:
    """Return whether a target has an argument of this very name."""
    return name in inspect.signature(target).parameters


def build_parts(
    parts: Mapping[str, Any] | None,
    trusted_packages: Iterable[str] = (),
    build_part: BuildPart = call,
) -> dict[str, Any]:
    """Build the shared objects in order; a later one may refer to an earlier one."""
    objects: dict[str, Any] = {}
    for name, node in (parts or {}).items():
        objects[name] = instantiate(
            node, parts=objects, trusted_packages=trusted_packages, build_part=build_part
        )
    return objects


def referenced_parts(node: object, parts: Mapping[str, object]) -> list[str]:
    """The shared parts that a node stands on, in the order they are built."""
    names: set[str] = set()

    def look(inner: object) -> None:
        if isinstance(inner, Mapping):
            name = str(inner.get("_part_", ""))
            if name in parts and name not in names:
                names.add(name)
                look(parts[name])
            for value in inner.values():
                look(value)
        elif isinstance(inner, list):
            for value in inner:
                look(value)

    look(node)
    return [name for name in parts if name in names]
