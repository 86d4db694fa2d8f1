"""Messages of a request as conversations; media are decoded here, within limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from anymodal.chat.history import first_visible, with_notice
from anymodal.chat.messages import MAX_MEDIA
from anymodal.io.message_content import open_message
from anymodal.io.message_parts import PartReader, holds_text
from anymodal.media import Media
from anymodal.serving.api.errors import ApiError, client_text
from anymodal.serving.api.remote import RemoteMedia
from anymodal.types import Message, ToolCall

MESSAGES = "messages"
"""The field of chat completions that has the conversation."""
PARTS = "parts"
"""The field of a reply's message that has its texts and media in order."""
_PLACES = {"images": "image_url", "videos": "video_url"}
_SENT_BACK = ("refusal", "annotations", "tool_calls", "function_call", "name", "reasoning")
_TOLD = ("choices",)
"""Fields of a reply that tell of it; they are no part of the conversation."""


class RequestMessage(NamedTuple):
    """A message of a request.

    Attributes:
        values: the message, as chat completions have it.
        place: where it stands in the request, as in `messages.0`.
        parts: where its parts stand; in order in the message's content where it is None.
    """

    values: Mapping[str, Any]
    place: str
    parts: Sequence[str] | None = None

    def part(self, index: int) -> str:
        """The place of a part in the request."""
        return f"{self.place}.content.{index}" if self.parts is None else self.parts[index]


def chat_messages(items: Sequence[Mapping[str, Any]]) -> list[RequestMessage]:
    """Messages of chat completions, with their places."""
    return [RequestMessage(each, f"{MESSAGES}.{place}") for place, each in enumerate(items)]


class ConversationReader:
    """Reads messages of a request.

    Args:
        reader: reads parts; it names no files.
        remote: fetches media from hosts that are allowed.
    """

    def __init__(self, reader: PartReader, remote: RemoteMedia) -> None:
        self.reader, self.remote = reader, remote

    def messages(self, items: Sequence[RequestMessage], field: str = MESSAGES) -> list[Message]:
        """The conversation of a field of a request, whose parts stay in order.

        Raises:
            ApiError: naming the message and part, for what can't be read.
        """
        if not items:
            raise ApiError(400, "there are no messages; give at least one", param=field)
        entries = [self._open(each) for each in items]
        count = sum(not holds_text(part) for _, parts in entries for part in parts)
        if count > MAX_MEDIA:  # before any of them is decoded
            text = f"{count} media in one conversation; the limit is {MAX_MEDIA}"
            raise ApiError(400, text, param=field)
        return [
            Message(role, [self._part(part, item.part(i)) for i, part in enumerate(parts)])
            for item, (role, parts) in zip(items, entries, strict=True)
        ]

    def item(self, part: object, place: str) -> str | Media:
        """A text or medium on its own."""
        content = self._part(part, place)
        if isinstance(content, ToolCall):
            raise ApiError(400, f"{place}: a call of a tool stands in a message", param=place)
        return content

    def _open(self, item: RequestMessage) -> tuple[str, Sequence[Any]]:
        try:
            return open_message(_normal(item.values))
        except ValueError as error:
            raise ApiError(400, str(error), param=item.place) from error

    def _part(self, part: object, place: str) -> str | Media | ToolCall:
        try:
            content = self.reader.read(self.remote.with_content(part))
            if not isinstance(content, str | Media | ToolCall):
                raise ValueError("a target is for training; give the medium itself")
            return content
        except ValueError as error:
            raise ApiError(400, f"{place}: {client_text(error)}", param=place) from error


def placed_media(
    items: Sequence[RequestMessage], messages: Sequence[Message], shown: Sequence[Message]
) -> list[tuple[str, Media]]:
    """The media of messages that a model is shown, with their places in the request.

    Args:
        items: the messages as they came.
        messages: as they were read.
        shown: those that are left of them, see `recent`.
    """
    ids = {id(medium) for message in shown for medium in message.media}
    return [
        (item.part(index), part)
        for item, message in zip(items, messages, strict=True)
        for index, part in enumerate(message.content)
        if isinstance(part, Media) and id(part) in ids
    ]


def recent(messages: list[Message], history_turns: int | None, notice: str = "") -> list[Message]:
    """The messages that a model is shown: as in a session, no more earlier turns than it knows.
    What stands before the first of the user's messages stays; a notice tells of what is dropped.
    """
    starts = [place for place, message in enumerate(messages) if message.role == "user"]
    num_dropped = first_visible(len(starts) - 1, history_turns) if starts else 0
    if not num_dropped:
        return messages
    return messages[: starts[0]] + with_notice(messages[starts[num_dropped] :], notice)


def _normal(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message with all its parts in its content. A reply that a client sends back whole has them
    in order in `parts`; one of other servers has media in fields of their own.
    """
    message = {key: value for key, value in message.items() if key not in _SENT_BACK or value}
    for name in _TOLD:
        message.pop(name, None)
    message.pop("name", None)  # who of several users; templates don't tell it
    if message.get("role") == "tool":
        message.pop("tool_call_id", None)  # results stand in the order of their calls
    if message.get("role") != "assistant":
        return message
    calls = [_call_part(call) for call in message.pop("tool_calls", None) or ()]
    if not calls:
        return _with_media(message)
    message = _with_media({**message, "content": message.get("content")})
    return {**message, "content": [*_content_list(message), *calls]}


def _call_part(call: object) -> dict[str, object]:
    """A call of a reply that is sent back, as a part of its message."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise ValueError("a tool call is no object with a function; send it back as it came")
    values = {key: function[key] for key in ("name", "arguments") if key in function}
    return {"type": "tool_call", "tool_call": {**values, "id": call.get("id") or ""}}


def _content_list(message: Mapping[str, Any]) -> list[Any]:
    content = message.get("content") or []
    return [content] if isinstance(content, str) else list(content)


def _with_media(message: dict[str, Any]) -> dict[str, Any]:
    """An assistant's message with its media in its content."""
    parts = message.pop(PARTS, None)
    media = [part for name in _PLACES for part in message.pop(name, None) or ()]
    sound = message.pop("audio", None)
    if isinstance(parts, list) and parts:
        return {**message, "content": [_without_index(part) for part in parts]}
    if isinstance(sound, Mapping) and sound.get("data"):
        media.append({"type": "input_audio", "input_audio": {"data": sound["data"]}})
    elif sound:
        raise ValueError("sounds are not kept by their id; send the message back with its `parts`")
    if not media:
        return message
    return {**message, "content": [*_content_list(message), *media]}


def _without_index(part: object) -> object:
    if not isinstance(part, Mapping):
        return part
    return {key: value for key, value in part.items() if key != "index"}
