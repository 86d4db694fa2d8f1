"""Parts of a configuration, built."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from anymodal.config.targets import resolve_target
from anymodal.config.validate import check_part


def call(target: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Build a part in the plain way."""
    return target(**arguments)


_CALL: ContextVar[Callable[[Callable[..., Any], Mapping[str, Any]], Any]] = ContextVar(
    "call", default=call
)


def instantiate(
    node: Any,
    *,
    parts: dict[str, Any] | None = None,
    trusted_packages: Iterable[str] = (),
    **extra: Any,
) -> Any:
    """Build the object that a part describes, inner parts first.

    Args:
        node: a resolved configuration (plain containers).
        parts: shared objects by name, what `{_part_: name}` stands for.
        trusted_packages: packages trusted beside AnyModal's own.
        extra: arguments that the framework fills in where the node doesn't give them.
    """
    if isinstance(node, list):
        return [instantiate(item, parts=parts, trusted_packages=trusted_packages) for item in node]
    if not isinstance(node, Mapping):
        return node
    if "_part_" in node:
        check_part(node, parts or {}, "configuration")
        return (parts or {})[node["_part_"]]
    built = {
        key: instantiate(value, parts=parts, trusted_packages=trusted_packages)
        for key, value in node.items()
        if key != "_target_"
    }
    if "_target_" not in node:
        return built
    return _CALL.get()(resolve_target(node["_target_"], trusted_packages), {**extra, **built})


def current_call() -> Callable[[Callable[..., Any], Mapping[str, Any]], Any]:
    """How `instantiate` builds a part now."""
    return _CALL.get()


@contextlib.contextmanager
def calling(
    how: Callable[[Callable[..., Any], Mapping[str, Any]], Any],
) -> Iterator[None]:
    """Within it, `instantiate` builds a part by `how(target, arguments)`, however deep it lies.

    A model's parts are named in files that its own `_target_` reads, so nobody can hand it down.
    """
    before = _CALL.set(how)
    try:
        yield
    finally:
        _CALL.reset(before)


def build_parts(
    parts: Mapping[str, Any] | None, trusted_packages: Iterable[str] = ()
) -> dict[str, Any]:
    """Build the shared objects in order; a later one may refer to an earlier one."""
    built: dict[str, Any] = {}
    for name, node in (parts or {}).items():
        built[name] = instantiate(node, parts=built, trusted_packages=trusted_packages)
    return built
