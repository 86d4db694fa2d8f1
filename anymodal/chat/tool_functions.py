"""Python functions as tools: their definitions, by type hints and docstring."""

from __future__ import annotations

import functools
import inspect
import json
import re
import typing
from collections.abc import Callable
from typing import Any

from anymodal.chat.tool_docs import described
from anymodal.chat.tool_types import FunctionArguments, among
from anymodal.language.template_messages import ToolDefinition

_NAME = re.compile(r"[\w.-]{1,64}")
_CHOICES = re.compile(r"\(choices:\s*(\[.*\])\s*\)\s*$")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def function_definition(
    function: Callable[..., object],
) -> tuple[ToolDefinition, FunctionArguments]:
    """OpenAI's definition of a function, and its arguments.

    Descriptions come from the docstring, or from `Annotated[…, "text"]`. `*args` and `**kwargs`
    aren't offered.

    Raises:
        ValueError: for a function without a docstring, or without a type or a description of a
            parameter.
    """
    named = _underlying(function)
    name = getattr(named, "__name__", type(named).__name__)
    try:
        definition, arguments = _definition(function, named, name)
    except Exception as error:  # of hints too, which may hold anything
        raise ValueError(
            f"{name} can't be a tool: {error}; give every parameter a type and a line in the "
            "docstring's Args, or give a definition beside the function"
        ) from error
    return {"type": "function", "function": definition}, arguments


def _definition(
    function: Callable[..., object], named: Callable[..., object], name: str
) -> tuple[dict[str, Any], FunctionArguments]:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name by which a model could call it")
    code = named if inspect.isroutine(named) else type(named).__call__
    told = described(named.__doc__ if inspect.isroutine(named) else code.__doc__ or named.__doc__)
    if not told.text:
        raise ValueError("its docstring doesn't tell what it does")
    hints = typing.get_type_hints(code, include_extras=True)
    texts, used, optional = dict[str, str](), dict[str, Any](), list[str]()
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in _VARIADIC:
            continue
        key = parameter.name
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ValueError(f"calls name their arguments, and {key!r} takes no name")
        if key not in hints:
            raise ValueError(f"the parameter {key!r} has no type")
        used[key], text = hints[key], told.parameters.get(key) or _description_in(hints[key])
        if not text:
            raise ValueError(f"the docstring says nothing of the parameter {key!r}")
        # A line may end with its choices, as transformers reads them.
        if choices := _CHOICES.search(text):
            text = text[: choices.start()].strip()
            used[key] = among(used[key], json.loads(choices[1]))
        texts[key] = text
        if parameter.default is None:
            used[key] = used[key] | None
        if parameter.default is not inspect.Parameter.empty:
            optional.append(key)
    arguments = FunctionArguments(used, optional)
    properties: dict[str, Any] = arguments.schema["properties"]
    for key, text in texts.items():
        more = " ".join(properties[key].get("description", "").split())  # of a class or a medium
        properties[key]["description"] = f"{text} ({more})" if more not in ("", text) else text
    parameters = {"type": "object", "properties": properties}
    if required := arguments.schema.get("required"):
        parameters["required"] = required
    return {"name": name, "description": told.text, "parameters": parameters}, arguments


def _description_in(hint: Any) -> str:
    """Description within `Annotated[…, "text"]`, also in pydantic's `Field(description=…)`."""
    notes = getattr(hint, "__metadata__", ())
    told = (note if isinstance(note, str) else getattr(note, "description", None) for note in notes)
    return next((text for text in told if isinstance(text, str)), "")


def _underlying(function: Callable[..., object]) -> Callable[..., object]:
    """The function of a partial one, which has its name, hints and docstring."""
    while isinstance(function, functools.partial):
        function = function.func
    return function
