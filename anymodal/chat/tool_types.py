"""Type hints of tools' parameters: as JSON schemas, and JSON values as values of them."""

from __future__ import annotations

import collections.abc
import datetime
import inspect
import json
import types
import typing
import uuid
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from anymodal.chat.tool_classes import class_type
from anymodal.chat.tool_values import (
    SIMPLE,
    ArgumentType,
    ToolError,
    medium,
    misfit,
    of_text,
    one_of,
    simple,
)
from anymodal.media import Media

_ITEMS: dict[type, Callable[[list[Any]], Any]] = {
    **dict.fromkeys((list, collections.abc.Sequence, collections.abc.MutableSequence), list),
    **dict.fromkeys((collections.abc.Iterable, collections.abc.Collection), list),
    **dict.fromkeys((set, collections.abc.Set, collections.abc.MutableSet), set),
    frozenset: frozenset,
}
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_TEXTS: dict[object, tuple[str, Callable[[str], Any]]] = {
    datetime.date: ("date", datetime.date.fromisoformat),
    datetime.datetime: ("date-time", datetime.datetime.fromisoformat),
    datetime.time: ("time", datetime.time.fromisoformat),
    uuid.UUID: ("uuid", uuid.UUID),
    Path: ("path", Path),
}


def argument_type(hint: Any) -> ArgumentType:
    """A type hint as a JSON schema and a reader of values.

    Known are the simple types, `Literal`, `Enum`, unions, lists, sets, tuples, dictionaries, data
    classes, `TypedDict`, `NamedTuple`, models of pydantic, dates and times, `UUID`, `Path`, and
    classes of media, whose values are numbers of media in the conversation.

    Raises:
        ValueError: for another one.
    """
    hint = _resolved(hint)
    if hint in (Any, object, inspect.Parameter.empty):
        return ArgumentType({}, lambda value, place, media: value)
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        return one_of({each.value if isinstance(each, Enum) else each: each for each in arguments})
    if hint in SIMPLE:
        return simple(hint)
    if hint in _TEXTS:
        return of_text(*_TEXTS[hint])
    if origin in _ITEMS:
        return _items(argument_type(arguments[0] if arguments else Any), _ITEMS[origin])
    if origin in _MAPPINGS:
        return _mapping(*(arguments or (str, Any)))
    if origin is tuple:
        return _tuple(arguments)
    if isinstance(origin, type) and (known := class_type(origin, argument_type)) is not None:
        return known
    name = getattr(hint, "__name__", str(hint))
    raise ValueError(
        f"values of the type {name} can't be told in JSON; take simple types, lists, dictionaries, "
        "Literal, Enum or a data class"
    )


def _resolved(hint: Any) -> Any:
    """A hint without its names and notes."""
    while True:
        if typing.get_origin(hint) is Annotated:
            hint = typing.get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):  # NewType
            hint = hint.__supertype__
        elif hasattr(hint, "__value__"):  # a name given by `type`
            hint = hint.__value__
        else:
            return hint


def _union(hints: Sequence[Any]) -> ArgumentType:
    others = [_resolved(hint) for hint in hints if hint is not type(None)]
    is_nullable = len(others) < len(hints)
    kinds = [each for each in others if isinstance(each, type) and issubclass(each, Media)]
    if kinds and len(kinds) == len(others):
        options = [medium(tuple(kinds))]
    else:
        options = [argument_type(each) for each in others]
    if len(options) == 1:
        schema = dict(options[0].schema)
    elif all(each.schema.keys() == {"type"} for each in options):
        schema = {"type": [each.schema["type"] for each in options]}
    else:
        schema = {"anyOf": [each.schema for each in options]}
    if is_nullable:
        schema["nullable"] = True

    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        if value is None and is_nullable:
            return None
        read_values, errors = list[Any](), list[ToolError]()
        for option in options:
            try:
                read_values.append(option.read(value, place, media))
            except ToolError as error:
                errors.append(error)
        if not read_values:
            if len(errors) == 1:
                raise errors[0]
            misfit(place, value, "fits none of its types")
        # The one that is the value itself, rather than one made of it.
        same = (each for each in read_values if type(each) is type(value) and each == value)
        return next(same, read_values[0])

    return ArgumentType(schema, read)


def _items(item: ArgumentType, make: Callable[[list[Any]], Any]) -> ArgumentType:
    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        if not isinstance(value, list):
            misfit(place, value, "is no list")
        return make([item.read(each, f"{place}[{n}]", media) for n, each in enumerate(value)])

    unique = {"uniqueItems": True} if make in (set, frozenset) else {}
    return ArgumentType({"type": "array", "items": item.schema, **unique}, read)


def _tuple(hints: tuple[Any, ...]) -> ArgumentType:
    if not hints or hints[1:] == (...,):
        return _items(argument_type(hints[0] if hints else Any), tuple)
    parts = [argument_type(hint) for hint in hints]

    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        if not isinstance(value, list) or len(value) != len(parts):
            misfit(place, value, f"is no list of {len(parts)}")
        return tuple(
            part.read(each, f"{place}[{n}]", media)
            for n, (part, each) in enumerate(zip(parts, value, strict=True))
        )

    schema = {"type": "array", "prefixItems": [part.schema for part in parts]}
    return ArgumentType({**schema, "minItems": len(parts), "maxItems": len(parts)}, read)


def _mapping(key: Any, value_hint: Any) -> ArgumentType:
    keys, values = argument_type(key), argument_type(value_hint)

    def read_key(name: str, place: str, media: Sequence[Media]) -> Any:
        try:
            return keys.read(name, place, media)
        except ToolError:
            # Keys of JSON are texts, whatever they mean.
            with_number = json.loads(name) if name.lstrip("-").isdigit() else name
            return keys.read(with_number, place, media)

    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        if not isinstance(value, dict):
            misfit(place, value, "is no object")
        return {
            read_key(name, f"a key of {place}", media): values.read(each, f"{place}.{name}", media)
            for name, each in value.items()
        }

    schema: dict[str, Any] = {"type": "object"}
    if values.schema:
        schema["additionalProperties"] = values.schema
    return ArgumentType(schema, read)
