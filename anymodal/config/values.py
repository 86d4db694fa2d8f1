"""Values of a configuration held against type hints: a signature's, or a schema's."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

MISSING = "???"
"""OmegaConf's placeholder of a value that must be given."""


class ConfigError(ValueError):
    """A configuration that can't work; the message names the place and the way out."""


def shorten(value: object, most: int = 100) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def suggest(name: object, choices: Iterable[object]) -> str:
    """`; did you mean 'x'?`, or the known names where none is near."""
    choices = sorted(str(k) for k in choices)
    return nearest(name, choices) or (f"; known: {', '.join(choices)}" if choices else "")


def nearest(name: object, choices: Iterable[object]) -> str:
    """`; did you mean 'x'?`, or nothing, for errors that tell all names themselves."""
    names = sorted(str(each) for each in choices)
    # Cut, since difflib takes quadratic time.
    near = difflib.get_close_matches(str(name)[:100], names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def check_argument(value: object, hint: object, label: str) -> None:
    """Refuse a value for which the hint has no room, or which holds such a value."""
    check_type(value, hint, label)
    containers = [option for option in _options(hint) if _holds(option, value)]
    if len(containers) != 1:
        return  # nothing, or one of several kinds
    inner = typing.get_args(containers[0])
    assert isinstance(value, list | Mapping), "something holds what is inside"
    if typing.get_origin(containers[0]) is tuple and inner[-1] is not Ellipsis:
        if len(value) != len(inner):
            raise ConfigError(f"{label} must have {len(inner)} items, not {shorten(value)}")
        hints = inner
    else:
        hints = (inner[0] if inner[-1] is Ellipsis else inner[-1],) * len(value)
    items = enumerate(value) if isinstance(value, list) else value.items()
    for (key, item), hint_of_item in zip(items, hints, strict=True):
        place = f"{label}[{key}]" if isinstance(value, list) else f"{label}.{key}"
        check_argument(item, hint_of_item, place)


def _holds(option: object, value: object) -> bool:
    """Return whether a hint has types for the items of this list or mapping."""
    kinds = _LISTS if isinstance(value, list) else _MAPPINGS if isinstance(value, Mapping) else ()
    part = isinstance(value, Mapping) and ("_target_" in value or "_part_" in value)
    return typing.get_origin(option) in kinds and bool(typing.get_args(option)) and not part


def _options(hint: object) -> tuple[object, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,)


def check_type(value: object, hint: object, label: str) -> None:
    """Refuse a value for which the hint has no room; what containers hold isn't looked at."""
    options = _options(hint)
    if not any(_fits(value, option) for option in options):
        names = " or ".join(
            _PLAIN.get(cast(type, o), getattr(o, "__name__", str(o))) for o in options
        )
        raise ConfigError(f"{label} must be {names}, not {shorten(value)}")


def _fits(value: object, option: object) -> bool:
    if option is Any:  # a class, in some versions of Python
        return True
    origin: object = typing.get_origin(option) or option
    if origin is typing.Literal:
        return any(type(each) is type(value) and each == value for each in typing.get_args(option))
    if isinstance(value, Mapping) and ("_target_" in value or "_part_" in value):
        return True
    if not inspect.isclass(origin) or origin is object:
        return True  # a type variable
    if isinstance(value, list):
        return origin not in (*_PLAIN, *_MAPPINGS)
    if isinstance(value, Mapping):
        return origin not in (*_PLAIN, *_LISTS)
    # By the very type: a bool is an int to isinstance().
    return type(value) is origin or (type(value), origin) in _ALIKE


_UNIONS = (typing.Union, types.UnionType)
_PLAIN = {int: "int", float: "float", str: "str", bool: "bool", type(None): "null", Path: "a path"}
_LISTS = (list, Sequence, Iterable, tuple)
_MAPPINGS = (dict, Mapping)
_ALIKE = {(int, float), (str, Path)}


def check_schema(schema: object, values: object, place: str = "") -> None:
    """Refuse values that a schema has no place or no room for; OmegaConf would take '5' for 5.

    Raises:
        ConfigError: naming the key, and the nearest right one.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{place or 'it'} must be a mapping, not {shorten(values)}")
    annotations = typing.get_type_hints(schema)  # of what its class has for all, too
    fields = dataclasses.fields(typing.cast(Any, schema))
    hints = {each.name: annotations[each.name] for each in fields}
    for key, value in values.items():
        label = f"{place}.{key}" if place else str(key)
        if key not in hints:
            raise ConfigError(f"there is no key {label!r}{suggest(key, hints)}")
        _check_value(value, hints[key], label)


def _check_value(value: object, hint: object, label: str) -> None:
    if isinstance(value, str) and ("${" in value or value == MISSING):
        return  # told once it is resolved
    inner = typing.get_args(hint)
    if value is not None and type(None) in inner:  # a schema that may be null
        hint = next((each for each in inner if dataclasses.is_dataclass(each)), hint)
    if dataclasses.is_dataclass(hint):
        check_schema(hint, value, label)
        return
    check_type(value, hint, label)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(value, Mapping) and hint is not Any and origin not in (dict, list):
        raise ConfigError(f"{label} must be a plain value, not {shorten(value)}")
    if origin is list:
        if not isinstance(value, list):
            raise ConfigError(f"{label} must be a list, not {shorten(value)}")
        for index, item in enumerate(value):
            _check_value(item, inner[0], f"{label}[{index}]")
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{label} must be a mapping, not {shorten(value)}")
        for key, item in value.items():
            if not isinstance(key, str):
                raise ConfigError(f"{label} has the key {key!r}, which is no text; quote it")
            _check_value(item, inner[1], f"{label}.{key}")
