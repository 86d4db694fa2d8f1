"""Arguments of tools' calls, and their checks against JSON schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from anymodal.config import nearest
from anymodal.types import ToolCall

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class ToolError(Exception):
    """A call that was refused or failed, in words for the model and the caller."""


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """The arguments of a call.

    Raises:
        ToolError: if they are no JSON object.
    """
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise ToolError(f"refused: the arguments are no JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ToolError("refused: the arguments are no JSON object")
    return arguments


def check_arguments_schema(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check arguments against the names, types and values of a JSON schema's own properties.

    So are the types of items of lists. What lies deeper is the tool's to check.

    Raises:
        ToolError: naming the argument.
    """
    check_argument_names(arguments, schema)
    properties: Mapping[str, Any] = schema.get("properties") or {}
    for name, value in arguments.items():
        expected = properties.get(name)
        if isinstance(expected, Mapping):  # else JSON Schema's `true`, which takes everything
            _check_value(name, value, expected)


def check_argument_names(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check that arguments are those of a JSON schema.

    Raises:
        ToolError: naming the one that is missing or unknown.
    """
    properties: Mapping[str, Any] = schema.get("properties") or {}
    if missing := [name for name in schema.get("required") or () if name not in arguments]:
        raise ToolError(f"refused: the argument {missing[0]!r} is missing")
    takes_others = schema.get("additionalProperties") or not properties
    if not takes_others and (unknown := [name for name in arguments if name not in properties]):
        name = unknown[0]
        raise ToolError(
            f"refused: there is no argument {name!r}{nearest(name, properties)}; there are "
            f"{', '.join(properties)}"
        )


def _check_value(name: str, value: object, expected: Mapping[str, Any]) -> None:
    kinds = expected.get("type")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds or ())
    if expected.get("nullable") and value is None:
        return
    if kinds and not any(_is_of(value, kind) for kind in kinds):
        raise ToolError(
            f"refused: {name} must be of type {' or '.join(kinds)}, not {json.dumps(value)[:100]}"
        )
    allowed = expected.get("enum")
    if allowed and value not in allowed:
        raise ToolError(f"refused: {name} must be one of {', '.join(map(str, allowed))}")
    items = expected.get("items")
    if isinstance(value, list) and isinstance(items, Mapping):
        for place, item in enumerate(value):
            _check_value(f"{name}[{place}]", item, items)


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return kind not in _TYPES
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))
