"""Classes as types of arguments: data classes, dictionaries with known keys, enumerations."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from anymodal.chat.tool_docs import described
from anymodal.chat.tool_values import ArgumentType, medium, misfit, one_of
from anymodal.media import Media

Of = Callable[[Any], ArgumentType]
"""The type of arguments that a hint tells, for what stands within a class."""


def class_type(kind: type, of: Of) -> ArgumentType | None:
    """Values of a class; None for one whose values can't be told in JSON.

    Args:
        kind: the class.
        of: gives the types of its fields.
    """
    if issubclass(kind, Media):
        return medium((kind,))
    if issubclass(kind, Enum):
        members = [*kind]
        by_value = {each.value: each for each in members if _is_simple(each.value)}
        return one_of(by_value if len(by_value) == len(members) else {m.name: m for m in members})
    if callable(getattr(kind, "model_json_schema", None)):
        return _pydantic(kind)
    if dataclasses.is_dataclass(kind):
        fields = [field for field in dataclasses.fields(kind) if field.init]
        missing = dataclasses.MISSING
        required = {each.name for each in fields if each.default is missing is each.default_factory}
        return _object(kind, of, [each.name for each in fields], required)
    if typing.is_typeddict(kind):
        return _object(kind, of, typing.get_type_hints(kind), _required_keys(kind))
    if issubclass(kind, tuple) and (names := getattr(kind, "_fields", None)) is not None:
        defaults: dict[str, Any] = getattr(kind, "_field_defaults", {})
        return _object(kind, of, names, {*names} - defaults.keys())
    return None


def _object(
    kind: Callable[..., Any], of: Of, names: Iterable[str], required: Collection[str]
) -> ArgumentType:
    """A class with fields: a data class, a `TypedDict` or a `NamedTuple`."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {name: of(_without_marks(hints[name])) for name in names}
    told = described(kind.__doc__).parameters
    properties = {}
    for name, field in fields.items():
        text = description_in(hints[name]) or told.get(name, "")
        properties[name] = {**field.schema, **({"description": text} if text else {})}

    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        if not isinstance(value, dict):
            misfit(place, value, "is no object")
        for name in value.keys() - fields.keys():
            misfit(place, value, f"has {name!r}; there are {', '.join(fields)}")
        for name in fields:
            if name in required and name not in value:
                misfit(place, value, f"lacks {name!r}")
        return kind(
            **{name: fields[name].read(value[name], f"{place}.{name}", media) for name in value}
        )

    schema = {
        **{"type": "object", "properties": properties},
        **{"required": [name for name in fields if name in required]},
        "additionalProperties": False,
    }
    return ArgumentType(schema, read)


def _required_keys(kind: Any) -> set[str]:
    """The keys that a `TypedDict` has to have, marks in annotations that are texts among them."""
    required: set[str] = set()
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        mark = typing.get_origin(hint)
        if mark is typing.Required or (
            mark is not typing.NotRequired and name in kind.__required_keys__
        ):
            required.add(name)
    return required


def _without_marks(hint: Any) -> Any:
    """The hint of a `TypedDict`'s field without `Required` and `NotRequired`."""
    marks = (typing.Required, typing.NotRequired)
    return typing.get_args(hint)[0] if typing.get_origin(hint) in marks else hint


def _pydantic(kind: Any) -> ArgumentType:
    schema = kind.model_json_schema()
    shared = schema.pop("$defs", {})

    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        try:
            return kind.model_validate(value)
        except ValueError as error:
            misfit(place, value, f"doesn't fit: {' '.join(str(error).split())[:500]}")

    return ArgumentType(_filled_in(schema, shared), read)


def _filled_in(value: Any, shared: Mapping[str, Any]) -> Any:
    """A schema with what it refers to in its place, since a part has no definitions of its own."""
    if isinstance(value, list):
        return [_filled_in(each, shared) for each in value]
    if not isinstance(value, dict):
        return value
    name = str(value.get("$ref", "")).rpartition("/")[2]
    if name in shared:
        rest = {key: each for key, each in value.items() if key != "$ref"}
        return {**_filled_in(shared[name], shared), **rest}
    return {key: _filled_in(each, shared) for key, each in value.items()}


def _is_simple(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def description_in(hint: Any) -> str:
    """What `Annotated[…, "text"]` says of a parameter, also pydantic's `Field(description=…)`."""
    notes = getattr(hint, "__metadata__", ())
    told = (note if isinstance(note, str) else getattr(note, "description", None) for note in notes)
    return next((text for text in told if isinstance(text, str)), "")
