"""Calls of tools and their results as a chat template takes them, told by trials."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from anymodal.language.template_messages import ASSISTANT, MARKS, ToolDefinition
from anymodal.language.tool_formats import NamedCall, ToolFormat, format_of

Message = Mapping[str, Any]
Rendered = Callable[[Sequence[Message], Sequence[ToolDefinition]], str]
"""Messages and tools as a template renders them; ValueError where it refuses them."""

MOVED = ("\ue002", "\ue003", "\ue004")
"""Before what is to stand before a call, before what is to stand behind a result, and behind both.
Of Unicode's private use, as `MARKS` are."""
_TRIAL = "trial_of_a_tool"
_CALL = NamedCall(_TRIAL, {"a": "b"})
_USER = {"role": "user", "content": "1"}


class TemplateTools:
    """A chat template's form of tools, calls and results.

    Args:
        template: the template, in Jinja.
        render: renders messages by it.
        media: what it writes for media, by their types.
    """

    def __init__(self, template: str, render: Rendered, media: Mapping[str, str]) -> None:
        self._template, self._render, self._media = template, render, media

    @cached_property
    def _trial(self) -> tuple[ToolFormat | None, bool]:
        """The format of its calls, and whether it takes their arguments as texts."""
        if "tool_calls" not in self._template:
            return None, False
        for as_text in (False, True):
            call = _call_value(_CALL.arguments, as_text)
            content = None if as_text else ""
            reply = {"role": ASSISTANT, "content": content, "tool_calls": [call]}
            text = self._written([_USER, reply])
            if (fmt := format_of(text, _CALL)) is not None:
                return fmt, as_text
        return None, False

    @property
    def format(self) -> ToolFormat | None:
        """The format of the calls that it writes; None for none that is read here."""
        return self._trial[0]

    @cached_property
    def writes_tools(self) -> bool:
        """Whether it tells its model of tools."""
        parameters = {"type": "object", "properties": {}, "required": []}
        function = {"name": _TRIAL, "description": "1", "parameters": parameters}
        return _TRIAL in self._written([_USER], [{"type": "function", "function": function}])

    @cached_property
    def keeps_text(self) -> bool:
        """Whether it writes the text of a message that calls a tool."""
        if self.format is None or self._nests:
            return True
        mark = MARKS[0] + "0" + MARKS[1]
        reply = {"role": ASSISTANT, "content": mark, "tool_calls": [_call_value(_CALL.arguments)]}
        result = {"role": "tool", "content": "1"}
        return mark in self._written(self.prepared([_USER, reply, result]))

    @property
    def _nests(self) -> bool:
        """Whether it takes results within the message that calls."""
        has_end = self.format is not None and bool(self.format.result_end)
        return has_end and "tool_responses" in self._template

    def _written(self, messages: Sequence[Message], tools: Sequence[ToolDefinition] = ()) -> str:
        try:
            return self._render(messages, tools)
        except ValueError:
            return ""

    def prepared(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Messages as the template takes them: each result names the call that it is of.

        Raises:
            ValueError: for a result without a call, where results stand within calling messages.
        """
        if not any(each.get("tool_calls") or each["role"] == "tool" for each in messages):
            return messages
        values: list[dict[str, Any]] = []
        waiting: list[dict[str, Any]] = []  # calls without a result
        for message in messages:
            value = {**message}
            if calls := message.get("tool_calls"):
                waiting = value["tool_calls"] = [self._call(c, n) for n, c in enumerate(calls)]
                waiting = [*waiting]
                if self._trial[1]:
                    value["content"] = message["content"] or None
            elif message["role"] == "tool" and waiting:
                call = waiting.pop(0)
                value |= {"tool_call_id": call["id"], "name": call["function"]["name"]}
            values.append(value)
        return self._nested(values) if self._nests else values

    def _call(self, call: Message, place: int) -> dict[str, Any]:
        """A call with an identifier and arguments that the template takes."""
        identifier = str(call["id"])
        length = 0 if self.format is None else self.format.id_length
        if length and not (len(identifier) == length and identifier.isalnum()):
            source = identifier or str(place)
            identifier = hashlib.sha256(source.encode()).hexdigest()[:length]
        function = {**call["function"]}
        if self._trial[1]:
            function["arguments"] = json.dumps(function["arguments"], ensure_ascii=False)
        return {**call, "id": identifier, "function": function}

    def _nested(self, values: Sequence[dict[str, Any]]) -> Sequence[Message]:
        """Messages with results within those that call, and with them the text that follows.

        What a model says before it calls is moved before the call: such templates have one place
        for text, behind the results.
        """
        nested: list[dict[str, Any]] = []
        for value in values:
            last = nested[-1] if nested else {}
            if value["role"] == "tool":
                if "name" not in value or not last.get("tool_calls"):
                    raise ValueError(
                        "a tool's result stands behind no call that it is of; put the reply that "
                        "calls before it, and no more results than calls"
                    )
                result = {"name": value["name"], "response": self._result(value["content"])}
                last.setdefault("tool_responses", []).append(result)
            elif calls := value.get("tool_calls"):
                first = {**calls[0]["function"]}
                said = "".join(self._texts(value["content"]))
                first["name"] = (
                    MOVED[0] + said + MOVED[2] + first["name"] if said else first["name"]
                )
                value["tool_calls"] = [{**calls[0], "function": first}, *calls[1:]]
                nested.append({**value, "content": ""})
            elif value["role"] == ASSISTANT and last.get("tool_responses") and not last["content"]:
                last["content"] = value["content"]
            else:
                nested.append(value)
        return nested

    def _result(self, content: object) -> str:
        """A result as one text; media stand behind it in the end."""
        media = "".join(self._placeholders(content))
        return "".join(self._texts(content)) + (MOVED[1] + media + MOVED[2] if media else "")

    def _texts(self, content: object) -> list[str]:
        if isinstance(content, str):
            return [content]
        parts = content if isinstance(content, list) else []
        return [part["text"] for part in parts if part["type"] == "text"]

    def _placeholders(self, content: object) -> list[str]:
        parts = content if isinstance(content, list) else []
        return [self._media[part["type"]] for part in parts if part["type"] != "text"]

    def settled(self, text: str) -> str:
        """A rendered text with what was moved at its place."""
        if self.format is None or MOVED[2] not in text:
            return text
        opening, end = re.escape(self.format.opening), re.escape(self.format.result_end)
        said, media = (f"{mark}([^{MOVED[2]}]*){MOVED[2]}" for mark in MOVED[:2])
        text = re.sub(f"({opening}(?:(?!{opening})[^{MOVED[0]}])*){said}", r"\2\1", text)
        return re.sub(f"{media}(.*?{end})", r"\2\1", text, flags=re.DOTALL)


def _call_value(arguments: Mapping[str, Any], as_text: bool = False) -> dict[str, Any]:
    """A call of the trial's tool as templates know it."""
    given = json.dumps(arguments) if as_text else {**arguments}
    return {"id": "0" * 9, "type": "function", "function": {"name": _TRIAL, "arguments": given}}
