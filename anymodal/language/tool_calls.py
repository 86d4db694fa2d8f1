"""Calls of tools in a reply's text: found while it is streamed, and taken out of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anymodal.io.message_content import ToolCall

MOST_CHARACTERS = 100_000
"""Of one call; a longer one is text."""


@dataclass(frozen=True)
class ToolFormat:
    """The format in which a model writes its calls.

    Attributes:
        opening: what stands before a call; a whole reply may be one where this is `{`.
        closing: what stands behind it; nothing where it ends with the reply.
        arguments: the key of the arguments beside `name`.
    """

    opening: str
    closing: str
    arguments: str


HERMES = ToolFormat("<tool_call>", "</tool_call>", "arguments")
"""Source: the function calling format of Hermes 2 Pro, which Qwen 2.5 and 3 write too."""
LLAMA = ToolFormat("{", "", "parameters")
"""Source: Llama 3.1's chat template, "Respond in the format {"name": …, "parameters": …}"."""


def tool_format(template: str) -> ToolFormat | None:
    """The format that a chat template asks its model for; None if it has none that is read here."""
    if "tools" not in template:
        return None
    if HERMES.opening in template and "<function=" not in template:
        return HERMES
    return LLAMA if '"parameters": dictionary of argument name' in template else None


class ToolCallParser:
    """Takes calls out of streamed text.

    What may be the beginning of a call is held back until more is known, and the white space before
    it, which belongs to no answer. What opens like a call and is none stays text.
    """

    def __init__(self, fmt: ToolFormat) -> None:
        self.fmt = fmt
        self.num_calls = 0
        self._buffer = ""
        self._is_inside = False
        self._is_start = True

    def push(self, text: str) -> list[str | ToolCall]:
        """Add text; give texts and calls that are certain by now."""
        self._buffer += text
        pieces: list[str | ToolCall] = []
        while (piece := self._next()) is not None:
            pieces.append(piece)
        return [piece for piece in pieces if piece != ""]

    def flush(self) -> list[str | ToolCall]:
        """Give what was held back, at the end of the text: a call without its end is one too."""
        text, self._buffer = self._buffer, ""
        if self._is_inside:
            self._is_inside = False
            return [self._call(text) or self.fmt.opening + text]
        # White space behind a call belongs to it.
        return [text] if text and not (self.num_calls and text.isspace()) else []

    def _next(self) -> str | ToolCall | None:
        """The next piece of the buffer; None if more has to come first."""
        return self._next_inside() if self._is_inside else self._next_outside()

    def _next_outside(self) -> str | None:
        buffer, opening = self._buffer, self.fmt.opening
        if not buffer.strip():
            return None
        # Without an end it is the whole reply, from its first letter on.
        is_whole = not self.fmt.closing
        at = buffer.find(opening) if not is_whole or self._is_start else -1
        if is_whole and at >= 0 and buffer[:at].strip():
            at = -1
        if at >= 0:
            self._is_inside, self._buffer = True, buffer[at + len(opening) :]
            return buffer[:at].rstrip()
        self._is_start = False
        size = len(buffer.rstrip())
        overlap = 0 if is_whole else _overlap(buffer[:size], opening)
        size = len(buffer[: size - overlap].rstrip())
        text, self._buffer = buffer[:size], buffer[size:]
        return text or None

    def _next_inside(self) -> str | ToolCall | None:
        if len(self._buffer) > MOST_CHARACTERS:
            text, self._buffer, self._is_inside = self._buffer, "", False
            return self.fmt.opening + text
        content, closing, behind = self._buffer.partition(self.fmt.closing or "\0")
        if not closing:
            return None
        self._buffer, self._is_inside = behind, False
        return self._call(content) or self.fmt.opening + content + closing

    def _call(self, text: str) -> ToolCall | None:
        """The call that a text is, if it is one."""
        if not self.fmt.closing:
            text = self.fmt.opening + text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict) or not isinstance(name := value.get("name"), str):
            return None
        arguments = value.get(self.fmt.arguments, {})
        if not isinstance(arguments, dict):
            return None
        self.num_calls += 1
        return ToolCall(name, json.dumps(arguments, ensure_ascii=False), new_call_id())


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
