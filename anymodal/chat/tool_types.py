"""Type hints of tools' parameters: as JSON schemas, and JSON values as values of them."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typing_extensions

from anymodal.chat.tool_arguments import ToolError, check_argument_names
from anymodal.media import Media

if TYPE_CHECKING:
    from pydantic import ValidationError, ValidationInfo

_NULL = {"type": "null"}
_VALUES = ("default", "enum", "const", "examples")  # keys of schemas that hold no schema
_NO_NUMBER = "Input should be a number, not true or false"


class FunctionArguments:
    """The arguments of a function: pydantic's, but for media, which are numbers in a conversation.

    Args:
        hints: of the parameters, by name.
        optional: names of those that may be left out.

    Attributes:
        schema: the JSON schema of the arguments.

    Raises:
        ValueError: for a type of which JSON can't tell the values.
    """

    def __init__(self, hints: Mapping[str, Any], optional: Collection[str] = ()) -> None:
        from pydantic import ConfigDict, PydanticUserError, TypeAdapter

        fields = {name: _numbered(hint) for name, hint in hints.items()}
        fields |= {name: typing_extensions.NotRequired[fields[name]] for name in optional}
        make: Any = typing_extensions.TypedDict  # the only one that pydantic takes before 3.12
        kind = make("Arguments", fields)
        kind.__pydantic_config__ = ConfigDict(extra="forbid")
        try:
            self._adapter = TypeAdapter[dict[str, Any]](kind)
            schema = self._adapter.json_schema()
        except PydanticUserError as error:
            said = error.message.splitlines()[0].rstrip(".")
            raise ValueError(f"{said}; media stand in lists and unions, not in classes") from error
        self.schema: dict[str, Any] = _plain(schema, schema.get("$defs", {}))

    def read(self, arguments: Mapping[str, Any], media: Sequence[Media]) -> dict[str, Any]:
        """JSON values as values of the hints; what is meant is taken, such as "3" for a number, but
        no `true` for 1. Classes read their own fields as pydantic does else.

        Args:
            arguments: by name.
            media: of the conversation, which arguments name by their numbers.

        Raises:
            ToolError: naming each argument that doesn't fit, and what would.
        """
        from pydantic import ValidationError

        check_argument_names(arguments, self.schema)
        misfits = {place: [_NO_NUMBER] for place in _booleans_for_numbers(arguments, self.schema)}
        values = dict[str, Any]()
        try:
            values = self._adapter.validate_json(json.dumps(arguments), context=media)
        except ValidationError as error:
            misfits = {**_misfits(error, arguments), **misfits}
        except Exception as error:  # of a class that checks its own values
            raise ToolError(f"refused: {type(error).__name__}: {str(error)[:500]}") from error
        if misfits:
            text = "; ".join(f"{place}: {' or '.join(said)}" for place, said in misfits.items())
            raise ToolError(f"refused: {text[:1000]}")
        return values


def among(hint: Any, choices: Sequence[Any]) -> Any:
    """A hint whose values are some choices, given as JSON values, and nothing where it may be; of a
    list, those in it.
    """
    from pydantic import BeforeValidator, Field, TypeAdapter

    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return list[among(item, choices)]  # type: ignore[misc]
    literal: Any = Literal[tuple(choices)]
    if type(None) in typing.get_args(hint):
        literal = literal | None
    check = BeforeValidator(TypeAdapter[Any](literal).validate_python)
    return Annotated[hint, check, Field(json_schema_extra={"enum": [*choices]})]


def _numbered(hint: Any) -> Any:
    """A hint with numbers of media where it has classes of media.

    What is read but once, at its use, is a list, so that a misfit in it is told before the call.
    """
    if _is_medium(hint):
        return _medium((hint,))
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    origin = list if origin is Iterable else origin
    if origin is Literal and any(isinstance(each, Enum) for each in parts):
        raise ValueError("JSON has no members of an Enum; take the Enum, or a Literal of texts")
    if origin in (typing.Union, types.UnionType):
        kinds = tuple(filter(_is_medium, parts))
        others = tuple(_numbered(each) for each in parts if each not in kinds)
        return typing.Union[((_medium(kinds),) if kinds else ()) + others]  # noqa: UP007
    return origin[tuple(map(_numbered, parts))] if origin and parts else hint


def _is_medium(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Media)


def _medium(kinds: tuple[type[Media], ...]) -> Any:
    from pydantic import AfterValidator, Field

    def pick(number: int, info: ValidationInfo[Sequence[Media]]) -> Media:
        media = info.context
        if not 1 <= number <= len(media):
            raise ValueError(f"this is no medium of the conversation, which has {len(media)}")
        if not isinstance(medium := media[number - 1], kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise ValueError(f"this medium is {medium.kind}, and {wanted} is wanted")
        return medium

    said = "the number of a medium in the conversation, from 1"
    return Annotated[int, AfterValidator(pick), Field(description=said)]


def _plain(schema: Any, shared: Mapping[str, Any]) -> Any:
    """A schema as chat templates read it: without references and titles, and with `nullable`."""
    if not isinstance(schema, dict):
        return [_plain(each, shared) for each in schema] if isinstance(schema, list) else schema
    plain: dict[str, Any] = {}
    if (name := schema.get("$ref", "").rpartition("/")[2]) in shared:
        plain = _plain(shared[name], {key: shared[key] for key in shared if key != name})
    elif name:
        raise ValueError(f"the type {name} holds itself, which templates of chats can't tell")
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            plain[key] = {field: _plain(each, shared) for field, each in value.items()}
        elif key not in ("$ref", "$defs", "title", "discriminator"):
            plain[key] = value if key in _VALUES else _plain(value, shared)
    if any(isinstance(each, list | dict) for each in plain.get("enum", ())):
        raise ValueError(f"the choices {plain['enum']} are no texts or numbers")
    if _NULL in plain.get("anyOf", ()):
        options = [each for each in plain.pop("anyOf") if each != _NULL]
        plain = {**(options[0] if len(options) == 1 else {"anyOf": options}), **plain}
        plain["nullable"] = True
    return plain


def _booleans_for_numbers(value: object, schema: Any, place: str = "") -> list[str]:
    """The places with true or false where the schema has a number, as `_misfits` has them."""
    if not isinstance(schema, Mapping):
        return []
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    if isinstance(value, bool):
        kinds = {option.get("type", "boolean") for option in options}
        is_number = "boolean" not in kinds and kinds & {"integer", "number"}
        return [f"{place}={json.dumps(value)}"] if is_number else []
    if len(options) > 1:
        each = [_booleans_for_numbers(value, option, place) for option in options]
        return min(each, key=len)  # one that takes it will do
    if isinstance(value, dict):
        own, others = schema.get("properties", {}), schema.get("additionalProperties")
        inner = [(f"{place}.{key}" if place else key, item, own.get(key, others))
                 for key, item in value.items()]  # fmt: skip
    elif isinstance(value, list):
        first, others = schema.get("prefixItems", []), schema.get("items")
        schemas = [*first, *[others] * len(value)]
        inner = [(f"{place}[{n}]", item, schemas[n]) for n, item in enumerate(value)]
    else:
        return []
    return [wrong for at, item, kind in inner for wrong in _booleans_for_numbers(item, kind, at)]


def _misfits(error: ValidationError, arguments: Mapping[str, Any]) -> dict[str, list[str]]:
    """The misfits of a call by their places, those of a union's options together."""
    told: dict[str, list[str]] = {}
    for each in error.errors(include_url=False):
        place, value = "", dict[Any, Any](arguments)
        is_missing = each["type"].startswith("missing")
        for step in each["loc"]:  # of which some name an option of a union
            inside = range(len(value)) if isinstance(value, list) else value
            if isinstance(inside, dict | range) and step in inside:
                value = value[step]
            elif not (is_missing and step == each["loc"][-1]):
                continue
            place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
        if not is_missing:
            place += f"={json.dumps(each['input'], default=str)[:100]}"
        told.setdefault(place, []).append(each["msg"].removeprefix("Value error, "))
    return told
