"""Items of `/v1/responses`: a conversation of them in, a reply as them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anymodal.serving.api.choices import choices_json
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.replies import Json
from anymodal.types import ChoiceScore, ToolCall

IMAGE_CALL, FUNCTION_CALL = "image_generation_call", "function_call"


def messages_of(input_items: str | Sequence[Any], instructions: str | None) -> list[dict[str, Any]]:
    """Input items as messages of chat completions.

    Items of a reply that follow one another, texts, images and calls, are one message of the
    assistant.

    Raises:
        ApiError: for an item of another type.
    """
    items = (
        [{"role": "user", "content": input_items}] if isinstance(input_items, str) else input_items
    )
    messages: list[dict[str, Any]] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    for place, item in enumerate(items):
        role, content = _item(item, place)
        if role == "assistant" and messages and messages[-1]["role"] == "assistant":
            messages[-1]["content"] += content
        else:
            messages.append({"role": role, "content": content})
    return messages


def _item(item: object, place: int) -> tuple[object, list[object]]:
    """Role and parts of an item."""
    item = item if isinstance(item, Mapping) else {"type": None}
    kind = item.get("type", "message")
    if kind == "message":
        content = item.get("content")
        parts = content if isinstance(content, list) else [content]
        return item.get("role"), [_part(part) for part in parts]
    if kind == IMAGE_CALL:
        source = {"data": item.get("result")}
        return "assistant", [{"type": "input_image", "input_image": source}]
    if kind == FUNCTION_CALL:
        call = {key: item.get(key) for key in ("name", "arguments")}
        part = {"type": "tool_call", "tool_call": {**call, "id": item.get("call_id") or ""}}
        return "assistant", [part]
    if kind == "function_call_output":
        output = item.get("output")
        return "tool", output if isinstance(output, list) else [output]
    raise ApiError(
        400, f"an input item of type {str(kind)[:80]!r} isn't read here; give messages, images, "
        "calls of functions and their outputs", param=f"input.{place}",
    )  # fmt: skip


def _part(part: object) -> object:
    """A part without what only tells of a text that a model wrote."""
    if isinstance(part, Mapping) and part.get("type") == "output_text":
        return {"type": "text", "text": part.get("text")}
    return part


def text_item(identity: str, part: Json | None, status: str = "completed") -> Json:
    """A text of a reply; None where none of it is known yet."""
    content = [] if part is None else [part]
    return {
        "id": identity, "type": "message", "status": status, "role": "assistant",
        "content": content,
    }  # fmt: skip


def text_part(
    text: str, logprobs: Sequence[Json] = (), choices: Sequence[ChoiceScore] = ()
) -> Json:
    """The content of a text item; with the probabilities of its choices, if it is one of some."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": [*logprobs]}
    return {**part, "choices": choices_json(choices)} if choices else part


def call_item(identity: str, call: ToolCall, status: str = "completed") -> Json:
    """A call of a function."""
    return {
        "id": identity, "type": FUNCTION_CALL, "status": status, "call_id": call.id,
        "name": call.name, "arguments": call.arguments,
    }  # fmt: skip


def image_item(identity: str, result: str | None, status: str = "completed") -> Json:
    """An image of a reply, in base64; None where it isn't made yet."""
    return {"id": identity, "type": IMAGE_CALL, "status": status, "result": result}
