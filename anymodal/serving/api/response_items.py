"""Items of `/v1/responses`: a conversation of them in, a reply as them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anymodal.serving.api.choices import choices_json
from anymodal.serving.api.conversation import RequestMessage
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.replies import Json
from anymodal.types import ChoiceScore, ToolCall

INPUT = "input"
"""The field that has the conversation."""
IMAGE_CALL, FUNCTION_CALL = "image_generation_call", "function_call"


def messages_of(input_items: str | Sequence[Any], instructions: str | None) -> list[RequestMessage]:
    """Input items as messages of chat completions, with their places in the request.

    Items of a reply that follow one another, texts, images and calls, are one message of the
    assistant.

    Raises:
        ApiError: for an item of another type.
    """
    messages: list[RequestMessage] = []
    if instructions:
        messages.append(_message("system", [instructions], "instructions", ["instructions"]))
    if isinstance(input_items, str):
        return [*messages, _message("user", [input_items], INPUT, [INPUT])]
    for number, item in enumerate(input_items):
        place = f"{INPUT}.{number}"
        role, parts, field = _item(item, place)
        is_list = isinstance(parts, list)
        content = parts if is_list else [parts]
        field = f"{place}{field}"
        places = [f"{field}.{i}" for i in range(len(content))] if is_list else [field]
        last = messages[-1] if messages else None
        if role == "assistant" and last is not None and last.values["role"] == "assistant":
            content = [*last.values["content"], *content]
            messages[-1] = _message(role, content, last.place, [*(last.parts or ()), *places])
        else:
            messages.append(_message(role, content, place, places))
    return messages


def _message(
    role: object, content: list[object], place: str, parts: Sequence[str]
) -> RequestMessage:
    return RequestMessage({"role": role, "content": content}, place, parts)


def _item(item: object, place: str) -> tuple[object, Any, str]:
    """Role and content of an item, a list of parts or one; and its field that has the content."""
    item = item if isinstance(item, Mapping) else {"type": None}
    kind = item.get("type", "message")
    if kind == "message":
        content = item.get("content")
        parts = [_part(part) for part in content] if isinstance(content, list) else content
        return item.get("role"), parts, ".content"
    if kind == IMAGE_CALL:
        source = {"data": item.get("result")}
        return "assistant", {"type": "input_image", "input_image": source}, ".result"
    if kind == FUNCTION_CALL:
        call = {key: item.get(key) for key in ("name", "arguments")}
        part = {"type": "tool_call", "tool_call": {**call, "id": item.get("call_id") or ""}}
        return "assistant", part, ""
    if kind == "function_call_output":
        return "tool", item.get("output"), ".output"
    raise ApiError(
        400, f"an input item of type {str(kind)[:80]!r} isn't read here; give messages, images, "
        "calls of functions and their outputs", param=place,
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
