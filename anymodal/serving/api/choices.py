"""Answers among choices, and the JSON schemas of OpenAI's API that ask for one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anymodal.serving.api.errors import ApiError
from anymodal.types import ChoiceScore, Done, Event, TextDelta

Json = dict[str, Any]
_HELP = (
    "a JSON schema is served where it is an enum, or an object with one required "
    "property that is an enum; or give 'choices'"
)


@dataclass(frozen=True)
class EnumFormat:
    """A reply in JSON that is one of several values, alone or as an object's only property.

    Args:
        values: by the texts that the model chooses among.
        key: of the property; None for the value alone.
    """

    values: Mapping[str, object]
    key: str | None = None

    def write(self, text: str) -> str:
        """The JSON of a chosen text."""
        value = self.values[text]
        return json.dumps(value if self.key is None else {self.key: value}, ensure_ascii=False)

    def apply(self, event: Event) -> Event:
        """An event of a reply among these choices, its text in JSON."""
        if isinstance(event, TextDelta):
            return TextDelta(self.write(event.text))
        if isinstance(event, Done):
            message = dataclasses.replace(event.message, content=[self.write(event.message.text)])
            return Done(message)
        return event


def parse_response_format(value: Mapping[str, Any] | None) -> EnumFormat | None:
    """The format that a `response_format` of chat completions asks for; None for plain text.

    Raises:
        ApiError: if it asks for anything but one of several values.
    """
    outer = value.get("json_schema") if value is not None else None
    schema = outer.get("schema") if isinstance(outer, Mapping) else None
    return _parse_format(value, schema, "response_format")


def parse_text_format(value: Mapping[str, Any] | None) -> EnumFormat | None:
    """The format that `text.format` of a response asks for, as `parse_response_format` gives it.

    Raises:
        ApiError: if it asks for anything but one of several values.
    """
    return _parse_format(value, None if value is None else value.get("schema"), "text.format")


def _parse_format(value: Mapping[str, Any] | None, root: object, param: str) -> EnumFormat | None:
    if value is None or value.get("type") == "text":
        return None
    if value.get("type") != "json_schema" or not isinstance(root, Mapping):
        raise ApiError(400, _HELP, param=param)
    schema, key = root, None
    properties = root.get("properties")
    if root.get("type") == "object" and isinstance(properties, Mapping) and len(properties) == 1:
        key = str(next(iter(properties)))
        schema = _resolve(properties[key], root)
        if root.get("required") != [key]:
            raise ApiError(400, _HELP, param=param)
    values = schema.get("enum") if isinstance(schema, Mapping) else None
    if not isinstance(values, list) or any(isinstance(each, list | dict) for each in values):
        raise ApiError(400, _HELP, param=param)
    texts = [each if isinstance(each, str) else json.dumps(each) for each in values]
    if len(set(texts)) < len(texts):
        raise ApiError(400, "two values of the enum are the same text", param=param)
    return EnumFormat(dict(zip(texts, values, strict=True)), key)


def _resolve(schema: object, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema, or the definition of the root that it names, as classes of Python's enum do."""
    if not isinstance(schema, Mapping):
        return {}
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    definitions = root.get("$defs")
    named = definitions.get(name) if name and isinstance(definitions, Mapping) else schema
    return named if isinstance(named, Mapping) else {}


def choices_json(choices: Sequence[ChoiceScore]) -> list[Json]:
    """The probabilities of a reply's choices."""
    return [choice._asdict() for choice in choices]
