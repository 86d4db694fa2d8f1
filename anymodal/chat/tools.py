"""Tools that a reply may call: their definitions, the checks of calls, and their results."""

from __future__ import annotations

import inspect
import json
import os
import threading
import time
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

from anymodal.config import suggest
from anymodal.language.template_messages import ToolDefinition
from anymodal.media import Limits, Media
from anymodal.media.objects import is_pillow, load_object
from anymodal.types import Message, ToolCall, ToolFinished

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class ToolParts(list[str | Media]):
    """A tool's result that is parts of a message already."""


class ToolError(Exception):
    """A call that was refused or failed, in words for the model and the caller."""


@dataclass(frozen=True)
class Tool:
    """A tool that a model may call.

    Args:
        definition: as OpenAI's API has it, `{"type": "function", "function": {"name",
            "description", "parameters"}}`.
        function: called with the arguments by name; gives a text, a medium (`Media`, a picture
            of Pillow, or a `Path`), a list of such, or another JSON value.
        media: parameters that take a medium of the conversation; calls name it by its number.
    """

    definition: ToolDefinition
    function: Callable[..., object] = field(repr=False)
    media: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The tool's name."""
        return str(cast(Mapping[str, Any], self.definition["function"])["name"])

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON schema of its arguments."""
        function = cast(Mapping[str, Any], self.definition["function"])
        return function.get("parameters") or {}

    @classmethod
    def of_function(cls, function: Callable[..., object]) -> Tool:
        """A Python function as a tool; its schema comes from type hints and docstring.

        A parameter whose type is a class of media (`anymodal.media.Image`, …) gets a medium of
        the conversation, which the model names by its number, from 1.

        Raises:
            ValueError: for a function without a docstring in Google's style, or without a type or
                a description of a parameter.
        """
        from transformers.utils import get_json_schema

        name = getattr(function, "__name__", "operation")
        try:
            hints = typing.get_type_hints(function)
            media = {key for key, hint in hints.items() if key != "return" and _is_media(hint)}
            definition = get_json_schema(_with_numbers(function, hints, media))
        except Exception as error:  # of several classes, which transformers keeps to itself
            raise ValueError(
                f"{name} can't be a tool: {error}; give every parameter a type and a line in the "
                "docstring's Args, or give a definition beside the function"
            ) from error
        properties = definition["function"]["parameters"]["properties"]
        for key in media:
            number = "the number of a medium in the conversation, from 1"
            properties[key]["description"] = f"{properties[key]['description']} ({number})"
        definition["function"].pop("return", None)
        return cls(definition, function, frozenset(media))


@runtime_checkable
class ToolSource(Protocol):
    """Something that has several tools, such as the connection to an MCP server."""

    def tools(self) -> Sequence[Tool]:
        """Its tools."""


ToolLike = Tool | ToolSource | Callable[..., object] | tuple[ToolDefinition, Callable[..., object]]
"""A tool, a source of tools, a Python function, or an OpenAI definition with its function."""


@dataclass(frozen=True)
class ToolLimits:
    """Limits of what a turn's calls may take.

    Args:
        max_calls: the most calls of a turn; later ones are refused.
        timeout: seconds that a call may take. One that takes longer is given up: its thread goes
            on until the function returns, and its result is dropped.
        max_characters: the longest text of a result; the rest is cut off, with a note.
        max_media: the most media of a result.

    Raises:
        ValueError: for a limit below its least value.
    """

    max_calls: int = 8
    timeout: float = 60.0
    max_characters: int = 20_000
    max_media: int = 8

    def __post_init__(self) -> None:
        for name, least in (("max_calls", 0), ("max_characters", 1), ("max_media", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}; give at least {least}")
        if not self.timeout > 0:
            raise ValueError(f"timeout={self.timeout}; give seconds above 0")


class Toolbox:
    """The tools of a turn.

    Args:
        tools: in any of the forms of `ToolLike`.
        limits: of their calls.
        approve: asked before each call; a call to which it doesn't say True is refused.

    Raises:
        ValueError: for something else, or two tools of one name.
    """

    def __init__(
        self,
        tools: Iterable[ToolLike],
        limits: ToolLimits | None = None,
        approve: Callable[[ToolCall], bool] | None = None,
    ) -> None:
        self.limits, self.approve = limits or ToolLimits(), approve
        self.tools: dict[str, Tool] = {}
        if not isinstance(tools, Iterable) or isinstance(tools, str | Mapping):
            raise ValueError(f"tools are given in a list, not as {type(tools).__name__}")
        for tool in (each for given in tools for each in tools_of(given)):
            if tool.name in self.tools:
                raise ValueError(f"there are two tools of the name {tool.name!r}; rename one")
            self.tools[tool.name] = tool
        self.num_calls = 0

    @property
    def definitions(self) -> list[ToolDefinition]:
        """For the chat template."""
        return [tool.definition for tool in self.tools.values()]

    def run(self, call: ToolCall, conversation: Sequence[Message]) -> ToolFinished:
        """Run a call; what goes wrong is told in the result."""
        began = time.monotonic()
        try:
            if self.num_calls >= self.limits.max_calls:
                raise ToolError(
                    f"refused: the limit of {self.limits.max_calls} calls is reached; answer "
                    "without another one"
                )
            self.num_calls += 1
            content, error = self._content(call, conversation), ""
        except ToolError as problem:
            content, error = [f"error: {problem}"], str(problem)
        return ToolFinished(call, tuple(content), error, time.monotonic() - began)

    def _content(self, call: ToolCall, conversation: Sequence[Message]) -> list[str | Media]:
        tool = self.tools.get(call.name)
        if tool is None:
            raise ToolError(
                f"refused: there is no tool {call.name!r}{suggest(call.name, self.tools)}; there "
                f"are {', '.join(self.tools)}"
            )
        arguments = _arguments(call)
        check_arguments_schema(arguments, tool.parameters)
        arguments |= {
            name: _medium(conversation, arguments[name], name)
            for name in tool.media & arguments.keys()
        }
        if self.approve is not None and self.approve(call) is not True:
            raise ToolError("refused: the user doesn't allow this call")
        value = _call_within(tool.function, arguments, self.limits.timeout)
        try:
            parts = result_parts(value)
        except Exception as error:  # whatever a tool gives must not end the turn
            raise ToolError(f"failed: its result can't be read: {_error_text(error)}") from error
        return self._within_limits(parts)

    def _within_limits(self, parts: list[str | Media]) -> list[str | Media]:
        media = sum(isinstance(part, Media) for part in parts)
        if media > self.limits.max_media:
            raise ToolError(
                f"failed: its result has {media} media, and the limit is {self.limits.max_media}"
            )
        left = self.limits.max_characters
        content: list[str | Media] = []
        for part in parts:
            if isinstance(part, str):
                if left < 0:
                    continue  # the note that texts are cut off has been given
                whole, part = len(part), part[:left]
                left -= whole
                if left < 0:
                    part += f" … (cut off after {self.limits.max_characters} characters)"
            content.append(part)
        return content or [""]


def tools_of(value: ToolLike) -> list[Tool]:
    """The tools in one of the forms of `ToolLike`.

    Raises:
        ValueError: for another form, or a definition that is none.
    """
    if isinstance(value, Tool):
        return [value]
    if isinstance(value, ToolSource):
        return list(value.tools())
    if isinstance(value, tuple) and len(value) == 2 and callable(value[1]):
        return [Tool(_checked(value[0]), value[1])]
    if callable(value):
        return [Tool.of_function(value)]
    raise ValueError(
        f"a tool is a function, a pair (OpenAI's definition, function), a Tool or a connection to "
        f"an MCP server, not {type(value).__name__}"
    )


def _checked(definition: object) -> ToolDefinition:
    function = definition.get("function") if isinstance(definition, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ValueError(
            "a tool's definition is {'type': 'function', 'function': {'name': …, 'description': …, "
            f"'parameters': …}}}}, not {str(definition)[:100]}"
        )
    if not isinstance(parameters := function.get("parameters") or {}, Mapping):
        raise ValueError(
            f"the parameters of the tool {function['name']!r} are a JSON schema, such as "
            f"{{'type': 'object', 'properties': {{}}}}, not {str(parameters)[:100]}"
        )
    return cast(ToolDefinition, definition)


def _is_media(hint: object) -> bool:
    """Return whether a type is a class of media, or one or None."""
    if isinstance(hint, type):
        return issubclass(hint, Media)
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = [each for each in typing.get_args(hint) if each is not type(None)] if is_union else []
    return bool(kinds) and all(map(_is_media, kinds))


def _with_numbers(
    function: Callable[..., object], hints: Mapping[str, object], media: set[str]
) -> Callable[..., object]:
    """The function for its schema alone: with numbers where it takes media, and no result."""

    def stand_in() -> None: ...

    numbers = {key: int if isinstance(hints[key], type) else int | None for key in media}
    hints = {**hints, **numbers}
    signature = inspect.signature(function)
    parameters = [
        each.replace(annotation=hints.get(name, inspect.Parameter.empty))
        for name, each in signature.parameters.items()
    ]
    shown = cast(Any, stand_in)
    shown.__name__, shown.__doc__ = getattr(function, "__name__", "operation"), function.__doc__
    shown.__annotations__ = {key: hint for key, hint in hints.items() if key != "return"}
    shown.__signature__ = signature.replace(
        parameters=parameters, return_annotation=inspect.Signature.empty
    )
    return stand_in


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise ToolError(f"refused: the arguments are no JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ToolError("refused: the arguments are no JSON object")
    return arguments


def check_arguments_schema(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check arguments against the names, types and values of a JSON schema's own properties.

    What lies deeper is the tool's to check.

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
                f"refused: there is no argument {name!r}{suggest(name, properties)}; there are "
                f"{', '.join(properties)}"
            )
        expected = properties[name]
        if not isinstance(expected, Mapping):
            continue  # JSON Schema's `true` takes everything
        kinds = expected.get("type")
        kinds = [kinds] if isinstance(kinds, str) else list(kinds or ())
        if expected.get("nullable"):
            kinds.append("null")
        if kinds and not any(_is_of(value, kind) for kind in kinds):
            raise ToolError(
                f"refused: {name} must be of type {' or '.join(kinds)}, not "
                f"{json.dumps(value)[:100]}"
            )
        allowed = expected.get("enum")
        if allowed and value not in allowed:
            raise ToolError(f"refused: {name} must be one of {', '.join(map(str, allowed))}")


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return kind not in _TYPES
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))


def _medium(conversation: Sequence[Message], number: object, name: str) -> Media | None:
    if number is None:
        return None
    media = [medium for message in conversation for medium in message.media]
    place = int(cast(int, number))
    if not 1 <= place <= len(media):
        raise ToolError(
            f"refused: {name}={place} is no medium of the conversation, which has {len(media)}"
        )
    return media[place - 1]


def _call_within(
    function: Callable[..., object], arguments: Mapping[str, Any], timeout: float
) -> object:
    """Call a function in a thread of its own, and wait so many seconds at most."""
    outcome: list[tuple[object, BaseException | None]] = []

    def work() -> None:
        try:
            outcome.append((function(**arguments), None))
        except BaseException as error:  # `sys.exit` too, which would end the thread unseen
            outcome.append((None, error))

    # A daemon: a call that never returns doesn't keep the program from ending.
    thread = threading.Thread(target=work, name="tool", daemon=True)
    thread.start()
    thread.join(timeout)
    if not outcome:
        raise ToolError(f"failed: it took longer than {timeout:g} seconds")
    value, error = outcome[0]
    if error is not None:
        raise ToolError(f"failed: {type(error).__name__}: {_error_text(error)}") from error
    return value


def _error_text(error: BaseException) -> str:
    """The beginning of an error's message."""
    try:
        return str(error)[:1000]
    except Exception:  # its words are a tool's own code, too
        return "without words"


def result_parts(value: object) -> list[str | Media]:
    """A tool's result as parts of a message: texts and media as they are, all else as JSON.

    Raises:
        ValueError: for a medium that can't be read.
        TypeError: for what JSON can't hold.
    """
    if isinstance(value, ToolParts):
        return list(value)
    if isinstance(value, str):
        return [value]
    if _is_medium(value):
        return [load_object(value, limits=Limits())]
    if isinstance(value, list | tuple) and any(map(_is_medium, value)):
        return [part for each in value for part in result_parts(each)]
    return [json.dumps(value, ensure_ascii=False)]


def _is_medium(value: object) -> bool:
    return is_pillow(value) or isinstance(value, Media | os.PathLike)
