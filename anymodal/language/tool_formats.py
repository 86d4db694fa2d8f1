"""Formats in which models write their calls of tools, each told by its chat template."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from anymodal.language.template_messages import ToolDefinition


class NamedCall(NamedTuple):
    """A tool's name, and its arguments."""

    name: str
    arguments: dict[str, Any]


class ArgumentTypes:
    """The types of tools' arguments, for formats that write texts and numbers alike.

    Args:
        tools: that may be called, as OpenAI's API has them.
    """

    def __init__(self, tools: Sequence[ToolDefinition] = ()) -> None:
        self._parameters: dict[str, Mapping[str, Any]] = {}
        for tool in tools:
            function = tool.get("function", tool)
            if isinstance(function, Mapping) and isinstance(name := function.get("name"), str):
                parameters = function.get("parameters")
                known = parameters.get("properties") if isinstance(parameters, Mapping) else None
                self._parameters[name] = known if isinstance(known, Mapping) else {}

    def value(self, tool: str, argument: str, text: str) -> Any:
        """The value that a text is: itself where the tool takes a text, else that of its JSON."""
        kinds = _kinds(self._parameters.get(tool, {}).get(argument))
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        # As a text it was written without quotes, so "12" of a text is one.
        return text if "string" in kinds and _kind_of(value) not in kinds - {"string"} else value


def _kinds(schema: object) -> frozenset[str]:
    """The types that a schema names, those of its alternatives included."""
    if not isinstance(schema, Mapping):
        return frozenset()
    own = schema.get("type")
    kinds = {own} if isinstance(own, str) else {*own} if isinstance(own, list | tuple) else set()
    kinds |= {_kind_of(value) for value in schema.get("enum") or () if isinstance(value, str)}
    others = [each for key in ("anyOf", "oneOf") for each in schema.get(key) or ()]
    kinds = kinds.union(*map(_kinds, others))
    return frozenset(kinds | ({"integer"} if "number" in kinds else set()))


def _kind_of(value: object) -> str:
    """JSON's type of a value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    kinds = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds[type(value)]


CallReader = Callable[[str, ArgumentTypes], list[NamedCall]]
"""Reads the text between a format's marks; ValueError where it is no call."""


@dataclass(frozen=True)
class ToolFormat:
    """A format of calls.

    Attributes:
        opening: text before a call, or a list of them.
        closing: text behind it; nothing where it ends with the reply.
        read: reads the text between these.
        is_whole: a call is a whole reply, whose first letters `opening` are, and a part of it.
        marks: texts of calls which may be special tokens, that a reply's text would lose.
        ends: texts that end a reply too.
        id_length: of identifiers that templates take; any where 0.
        result_end: text behind a result of templates that take results within the message that
            called.
    """

    opening: str
    closing: str
    read: CallReader
    is_whole: bool = False
    marks: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    id_length: int = 0
    result_end: str = ""


def _checked(name: object, arguments: object) -> NamedCall:
    if not isinstance(name, str) or not name.strip() or not isinstance(arguments, dict):
        raise ValueError("no name with an object of arguments")
    return NamedCall(name.strip(), arguments)


def _read_json(text: str, types: ArgumentTypes, key: str = "arguments") -> list[NamedCall]:
    """An object with name and arguments, or a list of such."""
    value = json.loads(text)
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, dict) for item in items):
        raise ValueError("no objects")
    return [_checked(item.get("name"), item.get(key, {})) for item in items]


def _read_braces(text: str, types: ArgumentTypes, quote: str) -> list[NamedCall]:
    """`call:name{key:value,…}`, with a mark of its own around texts and none around keys."""
    found = re.fullmatch(r"\s*call:([^{]+)(\{.*\})\s*", text, re.DOTALL)
    if found is None:
        raise ValueError("no call")
    pieces = found[2].split(quote)  # each second one is a text
    plain = [re.sub(r"([{,]\s*)([^\s{}\[\],:\"]+)\s*:", r'\1"\2":', piece) for piece in pieces]
    plain = [re.sub(r"\bNone\b", "null", piece) for piece in plain]  # as templates write it
    joined = "".join(
        json.dumps(piece) if place % 2 else plain[place] for place, piece in enumerate(pieces)
    )
    return [_checked(found[1], json.loads(joined))]


def _read_tags(text: str, types: ArgumentTypes) -> list[NamedCall]:
    """`<function=name>` with `<parameter=key>` and a value without quotes for each argument."""
    found = re.fullmatch(r"\s*<function=([^>]+)>(.*?)(</function>)?\s*", text, re.DOTALL)
    if found is None:
        raise ValueError("no call")
    pattern = r"\s*<parameter=([^>]+)>\n?(.*?)\n?</parameter>\s*"
    return [_of_pairs(found[1], pattern, found[2], types)]


def _read_pairs(text: str, types: ArgumentTypes) -> list[NamedCall]:
    """A name, then `<arg_key>` and `<arg_value>`, whose texts have no quotes."""
    found = re.fullmatch(r"\s*([^\s<]+)(.*)", text, re.DOTALL)
    if found is None:
        raise ValueError("no call")
    pattern = r"\s*<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>\s*"
    return [_of_pairs(found[1], pattern, found[2], types)]


def _of_pairs(name: str, pattern: str, text: str, types: ArgumentTypes) -> NamedCall:
    """A call whose text holds nothing but arguments of a pattern."""
    if re.sub(pattern, "", text, flags=re.DOTALL).strip():
        raise ValueError("more than arguments")
    pairs = re.findall(pattern, text, re.DOTALL)
    name = name.strip()
    return _checked(name, {key.strip(): types.value(name, key.strip(), v) for key, v in pairs})


def _read_mistral(text: str, types: ArgumentTypes) -> list[NamedCall]:
    """A list in JSON, or `name[ARGS]{…}`, several with the opening mark between them."""
    if text.lstrip().startswith("["):
        return _read_json(text, types)
    pattern = r"\s*([^\s\[{]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*(\{.*\})\s*"
    found = [re.fullmatch(pattern, each, re.DOTALL) for each in text.split("[TOOL_CALLS]")]
    if not all(found):
        raise ValueError("no call")
    return [_checked(each[1], json.loads(each[2])) for each in found if each]


def _read_deepseek(text: str, types: ArgumentTypes) -> list[NamedCall]:
    """Calls between marks: a name and an object, or a kind, then a name and a block of JSON."""
    begin, end, between = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
    calls = []
    for each in text.replace(end, "").split(begin)[1:]:
        first, _, rest = each.partition(between)
        name, _, block = rest.partition("```json")
        named = (name, block.strip().removesuffix("```")) if block else (first, rest)
        calls.append(_checked(named[0], json.loads(named[1])))
    if not calls:
        raise ValueError("no call")
    return calls


TAGS = ToolFormat(
    "<tool_call>",
    "</tool_call>",
    _read_tags,
    marks=("<tool_call>", "</tool_call>"),
)
"""Source: the chat templates of Qwen3-Coder and Qwen 3.5."""
PAIRS = ToolFormat(
    "<tool_call>",
    "</tool_call>",
    _read_pairs,
    marks=(
        *("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>"),
        *("<arg_value>", "</arg_value>"),
    ),
)
"""Source: the chat templates of GLM 4.5 and 4.6."""
HERMES = ToolFormat(
    "<tool_call>",
    "</tool_call>",
    _read_json,
    marks=("<tool_call>", "</tool_call>"),
)
"""Source: the function calling format of Hermes 2 Pro, which Qwen 2.5 and 3 write too."""
LLAMA = ToolFormat(
    "{",
    "",
    partial(_read_json, key="parameters"),
    is_whole=True,
)
"""Source: Llama 3.1's chat template, "Respond in the format {"name": …, "parameters": …}"."""
GEMMA = ToolFormat(
    "<|tool_call>",
    "<tool_call|>",
    partial(_read_braces, quote='<|"|>'),
    marks=("<|tool_call>", "<tool_call|>", '<|"|>'),
    ends=("<|tool_response>",),
    result_end="<tool_response|>",
)
"""Source: Gemma 4's chat template, and Google's page on its prompts."""
FUNCTION_GEMMA = ToolFormat(
    "<start_function_call>",
    "<end_function_call>",
    partial(_read_braces, quote="<escape>"),
    marks=("<start_function_call>", "<end_function_call>", "<escape>"),
    ends=("<start_function_response>",),
)
"""Source: Google's page on FunctionGemma's formatting, whose stop sequence is the response's."""
MISTRAL = ToolFormat(
    "[TOOL_CALLS]",
    "",
    _read_mistral,
    marks=("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"),
    id_length=9,
)
"""Source: Mistral's chat templates: Small 3.1 (a list), Small 3.2 and Ministral 3 (one each)."""
DEEPSEEK = ToolFormat(
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    _read_deepseek,
    marks=(
        *("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>"),
        *("<｜tool▁call▁end｜>", "<｜tool▁sep｜>"),
    ),
)
"""Source: the chat templates of DeepSeek V3, R1 and V3.1."""
PHI = ToolFormat(
    "<|tool_call|>",
    "<|/tool_call|>",
    _read_json,
    marks=("<|tool_call|>", "<|/tool_call|>"),
)
"""Source: llama.cpp's chat template of Phi-4-mini; Microsoft's own writes no calls."""

FORMATS = (HERMES, TAGS, PAIRS, GEMMA, FUNCTION_GEMMA, MISTRAL, DEEPSEEK, PHI, LLAMA)


def format_of(text: str, call: NamedCall) -> ToolFormat | None:
    """The format in which a text, what a chat template wrote, has a call; None if in none."""
    return next((fmt for fmt in FORMATS if _has(fmt, text, call)), None)


def _has(fmt: ToolFormat, text: str, call: NamedCall) -> bool:
    _, opening, content = text.partition(fmt.opening)
    if fmt.closing:
        content, closing, _ = content.partition(fmt.closing)
    else:  # behind it stands what ends a turn
        closing = content = content[: max(content.rfind("}"), content.rfind("]")) + 1]
    try:
        found = fmt.read(opening + content if fmt.is_whole else content, ArgumentTypes())
    except (ValueError, RecursionError):
        return False
    return bool(opening and closing) and found == [call]
