"""Calls of tools in a reply's text: found while it is streamed, and taken out of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence

from anymodal.io.message_content import ToolCall
from anymodal.language.template_messages import ToolDefinition
from anymodal.language.tool_formats import ArgumentTypes, ToolFormat

MOST_CHARACTERS = 100_000
"""Between a format's marks; what is longer is text."""


class ToolCallParser:
    """Takes calls out of streamed text.

    What may be the beginning of a call is held back until more is known, and the white space before
    it, which belongs to no answer. What opens like a call and is none stays text.

    Args:
        fmt: the form of calls.
        tools: that may be called, as OpenAI's API has them; their types tell texts from numbers
            where the form doesn't.
    """

    def __init__(self, fmt: ToolFormat, tools: Sequence[ToolDefinition] = ()) -> None:
        self.fmt = fmt
        self.num_calls = 0
        self._types = ArgumentTypes(tools)
        self._buffer = ""
        self._is_inside = False
        self._is_start = True

    def push(self, text: str) -> list[str | ToolCall]:
        """Add text; give texts and calls that are certain by now."""
        self._buffer += text
        pieces: list[str | ToolCall] = []
        while (found := self._next()) is not None:
            pieces += found
        return [piece for piece in pieces if piece != ""]

    def flush(self) -> list[str | ToolCall]:
        """Give what was held back, at the end of the text: a call without its end is one too."""
        text, self._buffer = self._buffer, ""
        if self._is_inside:
            self._is_inside = False
            return [*self._calls(text, "")]
        # White space behind a call belongs to it.
        return [text] if text and not (self.num_calls and text.isspace()) else []

    def _next(self) -> Sequence[str | ToolCall] | None:
        """The next pieces of the buffer; None if more has to come first."""
        return self._next_inside() if self._is_inside else self._next_outside()

    def _next_outside(self) -> list[str] | None:
        buffer, opening = self._buffer, self.fmt.opening
        if not buffer.strip():
            return None
        is_whole = self.fmt.is_whole
        at = buffer.find(opening) if not is_whole or self._is_start else -1
        if is_whole and at >= 0 and buffer[:at].strip():
            at = -1
        if at >= 0:
            self._is_inside, self._buffer = True, buffer[at + len(opening) :]
            return [buffer[:at].rstrip()]
        self._is_start = False
        size = len(buffer.rstrip())
        overlap = 0 if is_whole else _overlap(buffer[:size], opening)
        size = len(buffer[: size - overlap].rstrip())
        text, self._buffer = buffer[:size], buffer[size:]
        return [text] if text else None

    def _next_inside(self) -> Sequence[str | ToolCall] | None:
        if len(self._buffer) > MOST_CHARACTERS:
            text, self._buffer, self._is_inside = self._buffer, "", False
            return [self.fmt.opening + text]
        if not self.fmt.closing or self.fmt.closing not in self._buffer:
            return None
        content, closing, self._buffer = self._buffer.partition(self.fmt.closing)
        self._is_inside = False
        return self._calls(content, closing)

    def _calls(self, content: str, closing: str) -> Sequence[str | ToolCall]:
        """The calls that a text between marks is; the text with its marks where it is none."""
        text = self.fmt.opening + content + closing
        try:
            found = self.fmt.read(text if self.fmt.is_whole else content, self._types)
        except (ValueError, RecursionError):
            return [text]
        self.num_calls += len(found)
        return [
            ToolCall(name, json.dumps(arguments, ensure_ascii=False), new_call_id())
            for name, arguments in found
        ]


def new_call_id() -> str:
    """An identifier of a call, by which its result names it."""
    return f"call_{secrets.token_hex(12)}"


def _overlap(text: str, string: str) -> int:
    limit = min(len(text), len(string) - 1)
    return next((size for size in range(limit, 0, -1) if text.endswith(string[:size])), 0)


def strings_in(value: object) -> list[str]:
    """All strings of JSON values, keys among them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for each in pair for text in strings_in(each)]
    if isinstance(value, Sequence):
        return [text for each in value for text in strings_in(each)]
    return []
