"""JSON values of calls as Python values: simple ones, texts that are parsed, choices, and media."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from anymodal.media import Media

MEDIUM = "the number of a medium in the conversation, from 1"
"""Describes what a call gives for a medium."""
Read = Callable[[Any, str, Sequence[Media]], Any]
"""A JSON value as one of a type, by the value's place and the media of the conversation."""
SIMPLE: dict[object, str] = {
    **{str: "string", int: "integer", float: "number", bool: "boolean"},
    **{type(None): "null"},
}

_FORMATS = ("date", "date-time", "time", "uuid")  # of JSON Schema


class ToolError(Exception):
    """A call that was refused or failed, in words for the model and the caller."""


class ArgumentType(NamedTuple):
    """A type of arguments.

    Attributes:
        schema: of JSON values.
        read: gives the value that a function wants.
    """

    schema: dict[str, Any]
    read: Read


def misfit(place: str, value: object, what: str) -> NoReturn:
    """Refuse a value."""
    raise ToolError(f"refused: {place}={json.dumps(value)[:100]} {what}")


def simple(hint: type) -> ArgumentType:
    """A simple type, see `SIMPLE`; whole numbers may be told as 2.0."""
    name = SIMPLE[hint]

    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        is_bool = isinstance(value, bool)  # which is an integer to Python
        if isinstance(value, hint) and is_bool == (hint is bool):
            return value
        is_whole = isinstance(value, float) and value.is_integer()
        if (hint is int and is_whole) or (hint is float and isinstance(value, int) and not is_bool):
            return hint(value)
        misfit(place, value, f"is not of type {name}")

    return ArgumentType({"type": name}, read)


def of_text(form: str, parse: Callable[[str], Any]) -> ArgumentType:
    """What is parsed from a text."""

    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        try:
            return parse(value)
        except (ValueError, TypeError, AttributeError):
            misfit(place, value, f"is no {form}")

    return ArgumentType({"type": "string", **({"format": form} if form in _FORMATS else {})}, read)


def one_of(values: Mapping[Any, Any]) -> ArgumentType:
    """One of some simple values, each of which stands for another."""
    for value in values:
        if type(value) not in SIMPLE:
            raise ValueError(f"the choice {value!r} can't be told in JSON")
    kinds = list(dict.fromkeys(SIMPLE[type(each)] for each in values))
    schema: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": [*values]}

    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        for told, meant in values.items():
            # To Python 1 and True are equal.
            if told == value and isinstance(told, bool) == isinstance(value, bool):
                return meant
        misfit(place, value, f"is none of {', '.join(map(str, values))}")

    return ArgumentType(schema, read)


def medium(kinds: tuple[type[Media], ...]) -> ArgumentType:
    """A medium of some classes, named by its number."""

    def read(value: Any, place: str, media: Sequence[Media]) -> Any:
        number = simple(int).read(value, place, media)
        if not 1 <= number <= len(media):
            misfit(place, number, f"is no medium of the conversation, which has {len(media)}")
        medium = media[number - 1]
        if not isinstance(medium, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            misfit(place, number, f"is {medium.kind}, and {wanted} is wanted")
        return medium

    return ArgumentType({"type": "integer", "description": MEDIUM}, read)
