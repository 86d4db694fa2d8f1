"""Tools that a reply may call: their definitions, the checks of calls, and their results."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

from anymodal.chat.tool_arguments import ToolError, arguments_of, check_arguments_schema
from anymodal.chat.tool_functions import function_definition
from anymodal.chat.tool_results import result_parts
from anymodal.chat.tool_types import FunctionArguments
from anymodal.config import nearest
from anymodal.language.template_messages import ToolDefinition
from anymodal.media import Media
from anymodal.types import Message, ToolCall, ToolFinished


@dataclass(frozen=True)
class Tool:
    """A tool that a model may call.

    Args:
        definition: as OpenAI's API has it, `{"type": "function", "function": {"name",
            "description", "parameters"}}`.
        function: called with the arguments by name, awaited where it is asynchronous; gives a text,
            a medium (`Media`, a picture of Pillow, or a `Path`), a list of such, or another value
            that JSON can tell. None for a tool that the caller runs: a reply that calls it ends
            the turn.
        arguments: reads the values that the function wants from JSON's; None for one that takes
            these as they are, where they fit the definition.
    """

    definition: ToolDefinition
    function: Callable[..., object] | None = field(repr=False)
    arguments: FunctionArguments | None = field(default=None, repr=False)

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

        Arguments are given to it as its hints say, such as members of an `Enum` or data classes:
        whatever pydantic reads. A parameter whose type is a class of media
        (`anymodal.media.Image`, …) gets a medium of the conversation, which the model names by its
        number, from 1.

        Raises:
            ValueError: for a function without a docstring, or without a type or a description of a
                parameter.
        """
        definition, arguments = function_definition(function)
        return cls(definition, function, arguments)


@runtime_checkable
class ToolSource(Protocol):
    """Something that has several tools, such as the connection to an MCP server."""

    def tools(self) -> Sequence[Tool]:
        """Its tools."""


ToolLike = (
    Tool
    | ToolSource
    | Callable[..., object]
    | tuple[ToolDefinition, Callable[..., object]]
    | ToolDefinition
)
"""A tool, a source of tools, a Python function, or an OpenAI definition, with its function or for
the caller to run."""


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

    def is_left(self, call: ToolCall) -> bool:
        """Return whether a call is left to the caller."""
        tool = self.tools.get(call.name)
        return tool is not None and tool.function is None

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
                f"refused: there is no tool {call.name!r}{nearest(call.name, self.tools)}; there "
                f"are {', '.join(self.tools)}"
            )
        if tool.function is None:
            raise ToolError("refused: the caller runs this tool")
        arguments = arguments_of(call)
        if tool.arguments is None:
            check_arguments_schema(arguments, tool.parameters)
        else:
            media = [medium for message in conversation for medium in message.media]
            arguments = tool.arguments.read(arguments, media)
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
    if isinstance(value, Mapping):
        return [Tool(_checked(value), None)]
    if callable(value):
        return [Tool.of_function(value)]
    raise ValueError(
        "a tool is a function, a pair (OpenAI's definition, function), a definition alone, a Tool "
        f"or a connection to an MCP server, not {type(value).__name__}"
    )


def _checked(definition: object) -> ToolDefinition:
    if isinstance(definition, Mapping) and {"type", "name"} <= definition.keys():
        # As the API of responses has it.
        rest = {key: value for key, value in definition.items() if key != "type"}
        definition = {"type": "function", "function": rest}
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


def _call_within(
    function: Callable[..., object], arguments: Mapping[str, Any], timeout: float
) -> object:
    """Call a function in a thread of its own, and wait so many seconds at most."""
    outcome: list[tuple[object, BaseException | None]] = []

    def work() -> None:
        try:
            value = function(**arguments)
            if inspect.isawaitable(value):
                value = asyncio.run(_awaited(value))
            outcome.append((value, None))
        except BaseException as error:  # `sys.exit` too, which would end the thread unseen
            outcome.append((None, error))

    # A daemon: a call that never returns doesn't keep the program from ending.
    thread = threading.Thread(target=work, name="tool", daemon=True)
    thread.start()
    thread.join(timeout)
    if not outcome:
        raise ToolError(f"failed: it took longer than {timeout:g} seconds")
    value, error = outcome[0]
    if isinstance(error, ToolError):
        raise error
    if error is not None:
        raise ToolError(f"failed: {type(error).__name__}: {_error_text(error)}") from error
    return value


async def _awaited(value: Awaitable[object]) -> object:
    return await value


def _error_text(error: BaseException) -> str:
    """The beginning of an error's message."""
    try:
        return str(error)[:1000]
    except Exception:  # its words are a tool's own code, too
        return "without words"
