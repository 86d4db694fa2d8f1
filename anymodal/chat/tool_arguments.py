"""Arguments of tools' calls: their checks, and their values as a Python function wants them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from anymodal.chat.tool_values import ArgumentType, ToolError
from anymodal.config import nearest
from anymodal.media import Media
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


def python_arguments(
    arguments: Mapping[str, Any], types: Mapping[str, ArgumentType], media: Sequence[Media]
) -> dict[str, Any]:
    """Arguments as values of the types that a function declares.

    Args:
        arguments: JSON values.
        types: of the parameters; what isn't among them stays as it is.
        media: of the conversation, which calls name by their numbers.

    Raises:
        ToolError: naming the argument that doesn't fit.
    """
    values = dict(arguments)
    for name in arguments.keys() & types.keys():
        try:
            values[name] = types[name].read(arguments[name], name, media)
        except ToolError:
            raise
        except Exception as error:  # of a class that checks its own values
            raise ToolError(f"refused: {name}: {str(error)[:500]}") from error
    return values


def check_arguments_schema(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check arguments against the names, types and values of a JSON schema's own properties.

    So are the types of items of lists. What lies deeper is the tool's to check.

    Raises:
        ToolError: naming the argument.
    """
    properties: Mapping[str, Any] = schema.get("properties") or {}
    if missing := [name for name in schema.get("required") or () if name not in arguments]:
        raise ToolError(f"refused: the argument {missing[0]!r} is missing")
    for name, value in arguments.items():
        if name not in properties:
            if schema.get("additionalProperties") or not properties:
                continue
            raise ToolError(
                f"refused: there is no argument {name!r}{nearest(name, properties)}; there are "
                f"{', '.join(properties)}"
            )
        expected = properties[name]
        if isinstance(expected, Mapping):  # else JSON Schema's `true`, which takes everything
            _check_value(name, value, expected)


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
