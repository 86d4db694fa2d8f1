"""Answers of the endpoints, as the OpenAPI document tells of them."""

from __future__ import annotations

import json
from typing import Any

from anymodal.serving.api.errors import INVALID, SERVER

Json = dict[str, Any]
JSON, EVENTS = "application/json", "text/event-stream"
_URL = {"url": "data:image/png;base64,…"}
_CHAT: Json = {
    "id": "chatcmpl-…", "object": "chat.completion", "created": 1767225600, "model": "nano",
    "choices": [{"index": 0, "logprobs": None, "finish_reason": "stop", "message": {
        "role": "assistant", "content": "Here it is: ", "refusal": None,
        "images": [{"type": "image_url", "image_url": _URL}],
        "parts": [{"type": "text", "text": "Here it is: "},
                  {"type": "image_url", "image_url": _URL}]}}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17,
              "prompt_tokens_details": {"cached_tokens": 0}},
}  # fmt: skip
_COMPLETION: Json = {
    **_CHAT, "id": "cmpl-…", "object": "text_completion",
    "choices": [{"index": 0, "text": " big red ball", "logprobs": None, "finish_reason": "stop"}],
}  # fmt: skip
_RESPONSE: Json = {
    "id": "resp-…", "object": "response", "created_at": 1767225600, "status": "completed",
    "model": "nano", "output": [
        {"id": "msg-…", "type": "message", "status": "completed", "role": "assistant",
         "content": [{"type": "output_text", "text": "Here it is: ", "annotations": [],
                      "logprobs": []}]},
        {"id": "ig-…", "type": "image_generation_call", "status": "completed", "result": "…"}],
    "usage": {"input_tokens": 8, "output_tokens": 9, "total_tokens": 17},
}  # fmt: skip
_IMAGES: Json = {
    "created": 1767225600, "data": [{"b64_json": "…"}], "output_format": "png", "size": "64x64",
    "usage": {"input_tokens": 7, "output_tokens": 4, "total_tokens": 11,
              "input_tokens_details": {"text_tokens": 7, "image_tokens": 0}},
}  # fmt: skip
_VIDEO: Json = {
    "id": "video_…", "object": "video", "model": "nano", "status": "queued", "progress": 0,
    "created_at": 1767225600, "completed_at": None, "expires_at": None, "prompt": "a duck",
    "seed": 1, "seconds": "auto", "size": "auto", "error": None, "remixed_from_video_id": None,
}  # fmt: skip
_MODEL: Json = {
    "id": "nano", "object": "model", "created": 1767225600, "owned_by": "anymodal",
    "modalities": {"input": ["text", "image"], "output": ["text", "image"]},
}  # fmt: skip
_EXAMPLES: dict[str, Json] = {
    "chat": _CHAT,
    "completion": _COMPLETION,
    "response": _RESPONSE,
    "images": _IMAGES,
    "video": _VIDEO,
    "videos": {"object": "list", "data": [_VIDEO], "has_more": False},
    "deleted": {"id": "video_…", "object": "video.deleted", "deleted": True},
    "transcription": {"text": "It is a bell.", "usage": {
        "type": "tokens", "input_tokens": 15, "output_tokens": 9, "total_tokens": 24}},
    "embeddings": {
        "object": "list", "model": "nano", "usage": {"prompt_tokens": 0, "total_tokens": 0},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.031, -0.007]}]},
    "health": {"status": "ok"},
    "ready": {"status": "ready"},
    "model": _MODEL,
    "models": {"object": "list", "data": [_MODEL]},
}  # fmt: skip
_CHUNK: Json = {
    **{key: _CHAT[key] for key in ("id", "created", "model")}, "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {"content": "Here"}, "logprobs": None,
                 "finish_reason": None}],
}  # fmt: skip
_EVENTS: dict[str, list[Json]] = {
    "chat": [_CHUNK],
    "completion": [{key: _COMPLETION[key] for key in _COMPLETION if key != "usage"}],
    "response": [{"type": "response.output_text.delta", "item_id": "msg-…", "delta": "Here"}],
    "speech": [
        {"type": "speech.audio.delta", "audio": "…"},
        {"type": "speech.audio.done",
         "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}}],
    "transcription": [
        {"type": "transcript.text.delta", "delta": "It is"},
        {"type": "transcript.text.done", **_EXAMPLES["transcription"]}],
}  # fmt: skip
_DONE = ("chat", "completion", "response")
"""Endpoints whose streams end with a line that says so."""


def answers(example: str = "", *others: str) -> dict[int | str, Json]:
    """The answers of an endpoint: an object, or other media types, and errors.

    An endpoint that answers with no object is given `response_class=Response`, since FastAPI would
    tell of one.

    Args:
        example: names the object and the events; empty where there are none.
        others: media types of answers that are no object.
    """
    content: Json = {JSON: {"example": _EXAMPLES[example]}} if example in _EXAMPLES else {}
    content |= {mime: _other(mime, example) for mime in others}
    return {
        200: {"description": "The answer.", "content": content},
        "4XX": _error("The request can't be answered.", INVALID, "seed"),
        "5XX": _error("This server can't answer it, or not now.", SERVER, None),
    }


def _other(mime: str, example: str) -> Json:
    """An answer that is a file, a text or events."""
    if mime != EVENTS:
        kind = {"type": "string"} if mime.startswith("text/") else _FILE
        return {"schema": kind}
    lines = "".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"
        if "type" in event
        else f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
        for event in _EVENTS[example]
    )
    end = "data: [DONE]\n\n" if example in _DONE else ""
    return {"schema": {"type": "string"}, "example": f"{lines}{end}"}


_FILE = {"type": "string", "format": "binary"}


def _error(description: str, kind: str, param: str | None) -> Json:
    error = {"message": "…", "type": kind, "param": param, "code": None}
    return {"description": description, "content": {JSON: {"example": {"error": error}}}}
