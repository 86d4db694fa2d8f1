"""Messages and tools as chat templates meet them, with marks in their contents' places."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from anymodal.io.message_content import ToolCall

ASSISTANT = "assistant"

ToolDefinition = Mapping[str, object]
"""As OpenAI's API has them: `{"type": "function", "function": {"name", "description", …}}`."""
MARKS = ("\ue000", "\ue001")
"""Around a mark's number. Of Unicode's private use, so no template writes them by itself."""


class TemplateSegment(NamedTuple):
    """A stretch of a rendered conversation.

    `is_content` tells contents from what the template wrote around them; `supervised` is true for
    what the assistant has to produce: its content and the end of its turn. `message` is the number
    of the message it belongs to.
    """

    ids: list[int]
    role: str
    is_content: bool
    supervised: bool
    message: int


class TemplateMessage(NamedTuple):
    """A message as a template meets it, with a mark in its content's place."""

    role: str
    has_content: bool = True
    calls: Sequence[ToolCall] = ()

    def values(self, mark: str) -> dict[str, object]:
        """The message's fields."""
        fields: dict[str, object] = {"role": self.role}
        fields["content"] = mark if self.has_content else ""
        return fields | ({"tool_calls": [*map(call_value, self.calls)]} if self.calls else {})


def call_value(call: ToolCall) -> dict[str, object]:
    """A call as templates know it: OpenAI's, with the arguments as an object.

    Raises:
        ValueError: if the arguments are no JSON object.
    """
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of the call of {call.name!r} are no JSON object")
    return {
        "id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}
    }  # fmt: skip
