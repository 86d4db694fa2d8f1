"""Replies as JSON: where typed clients expect texts and media, and in order in `parts`."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from mimetypes import guess_type
from typing import Any

from anymodal.media import Media, Speech
from anymodal.media.base import data_uri
from anymodal.serving.api.choices import choices_json
from anymodal.serving.api.conversation import PARTS
from anymodal.serving.api.sound_files import SOUND_MIMES, encode_medium
from anymodal.serving.cut_media import CutMedium
from anymodal.types import (
    Event,
    MediumDelta,
    MediumProgress,
    MediumReady,
    MediumStarted,
    Message,
    TextDelta,
    TokenUsage,
    ToolCall,
    ToolCalled,
)

Json = dict[str, Any]
_MIMES = {".csv": "text/csv", ".ply": "application/ply", ".npy": "application/x-npy"}
_MIMES |= {f".{form}": mime for form, mime in SOUND_MIMES.items()}


def new_id(prefix: str) -> str:
    """An identifier that nothing else has."""
    return f"{prefix}-{secrets.token_hex(12)}"


def usage_json(usages: Sequence[TokenUsage], choices: int = 1) -> Json:
    """Tokens as clients read them, of replies of which so many have one prompt, in order."""
    prompts = usages[::choices]
    prompt = sum(usage.prompt for usage in prompts)
    completion = sum(usage.completion for usage in usages)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": sum(usage.cached for usage in prompts)},
    }


def warnings_json(cut: Sequence[CutMedium]) -> Json:
    """The field `warnings` of an answer, which is left out where there are none."""
    return {"warnings": [each.as_json for each in cut]} if cut else {}


class MediaEncoder:
    """Media as files inside JSON.

    Args:
        suffixes: of the files, by kind; others have their kind's own.
    """

    def __init__(self, suffixes: Mapping[str, str] | None = None) -> None:
        self.suffixes = dict(suffixes or {})

    def part(self, medium: Media) -> Json:
        """A medium as a part of a message, with a data URL."""
        suffix = self.suffixes.get(medium.kind, medium.suffix)
        mime = _MIMES.get(suffix) or guess_type(f"x{suffix}")[0] or "application/octet-stream"
        name = f"{medium.kind}_url"
        words = {"transcript": medium.text} if isinstance(medium, Speech) else {}
        return {"type": name, name: {"url": data_uri(mime, encode_medium(medium, suffix))}, **words}

    def base64(self, medium: Media) -> str:
        """A medium's file in base64."""
        suffix = self.suffixes.get(medium.kind, medium.suffix)
        return b64encode(encode_medium(medium, suffix)).decode()


def media_fields(parts: list[Json], created: int) -> Json:
    """Fields in which clients of other servers expect media: `images`, `videos` and `audio`."""
    fields: Json = {}
    for part in parts:
        kind = part["type"].removesuffix("_url")
        if kind in ("image", "video"):
            field = {key: part[key] for key in ("type", f"{kind}_url")}
            fields.setdefault(f"{kind}s", []).append(field)
        elif kind in ("audio", Speech.kind) and "audio" not in fields:  # it is one to a message
            data = part[part["type"]]["url"].partition(",")[2]
            fields["audio"] = {
                "id": new_id("audio"), "data": data, "expires_at": created,
                "transcript": part.get("transcript", ""),
            }  # fmt: skip
    return fields


def message_json(message: Message, encoder: MediaEncoder, created: int) -> Json:
    """A whole reply."""
    parts = [
        encoder.part(part) if isinstance(part, Media) else {"type": "text", "text": part}
        for part in message.content
        if not isinstance(part, ToolCall)
    ]
    fields = media_fields([part for part in parts if part["type"] != "text"], created)
    calls = [call_json(part) for part in message.content if isinstance(part, ToolCall)]
    content = message.text if message.text or not calls else None  # as OpenAI has it
    reply: Json = {"role": "assistant", "content": content, "refusal": None, **fields}
    if calls:
        reply["tool_calls"] = calls
    if message.choices:
        reply["choices"] = choices_json(message.choices)
    return {**reply, PARTS: parts} if fields or len(parts) > 1 else reply


def call_json(call: ToolCall) -> Json:
    """A call of a tool."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


class DeltaWriter:
    """Events of one reply as deltas of a stream.

    A part of the reply, a text or a medium, has an index in order. Text comes as `content`; a
    medium's `parts` say that it has begun, how far it is, what of it is there (`partial`), and in
    the end what it is.

    Args:
        encoder: of media.
        created: when the request came.
        kind_of: the kind of media of a modality.
    """

    def __init__(self, encoder: MediaEncoder, created: int, kind_of: Callable[[str], str]) -> None:
        self.encoder, self.created, self.kind_of = encoder, created, kind_of
        self._parts = 0
        self._in_text = False
        self._places: dict[int, int] = {}
        self._has_sound = False
        self._num_calls = 0

    def delta(self, event: Event) -> Json:
        """Deltas for an event before the last."""
        match event:
            case TextDelta(text):
                self._parts += not self._in_text
                self._in_text = True
                return {"content": text}
            case ToolCalled(call):
                self._num_calls += 1
                return {"tool_calls": [{"index": self._num_calls - 1, **call_json(call)}]}
            case MediumStarted(index, modality):
                self._places[index], self._in_text = self._parts, False
                self._parts += 1
                return self._status(index, modality, status="started")
            case MediumProgress(index, modality, step, steps):
                return self._status(index, modality, status="in_progress", step=step, steps=steps)
            case MediumDelta(index, modality, medium):
                piece = self.encoder.part(medium)
                piece = {key: piece[key] for key in piece.keys() - {"type"}}
                return self._status(index, modality, status="partial", **piece)
            case MediumReady(index, _, medium):
                return self._ready(index, medium)
        return {}

    def _status(self, index: int, modality: str, **fields: object) -> Json:
        part = {"index": self._places[index], "type": f"{self.kind_of(modality)}_url", **fields}
        return {PARTS: [part]}

    def _ready(self, index: int, medium: Media) -> Json:
        part = {"index": self._places[index], **self.encoder.part(medium), "status": "completed"}
        fields = media_fields([part], self.created)
        if self._has_sound:
            fields.pop("audio", None)
        self._has_sound = self._has_sound or "audio" in fields
        return {PARTS: [part], **fields}
