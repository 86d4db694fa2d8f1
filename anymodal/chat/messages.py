"""Messages from what people have: OpenAI's dictionaries, files, pictures, arrays; and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from anymodal.io.message_content import Target, ToolCall, name_of, open_message, parts_of
from anymodal.io.message_parts import PartReader, holds_text
from anymodal.media import Limits, Media, MediaError
from anymodal.media.objects import is_pair
from anymodal.types import Message

MAX_MEDIA = 32
"""The most media in a conversation."""


def conversation_of(conversation: object, limits: Limits | None = None) -> list[Message]:
    """A user's conversation as messages.

    A part alone; a list of parts (one user message, in order); a message; or a list of messages.
    A message is a `Message` or a dictionary with `role` and `content`, which is a part or a list of
    them. A part is

    - a text. A string is always text: write a file as a `Path`.
    - a medium of `anymodal.media`, or what `media.objects.load_object` takes: a path, bytes, a
      picture of Pillow, an array (H, W, 3), a pair of an array and its rate.
    - a dictionary of OpenAI's API or its like: `{"type": "text", "text": …}`, and for a medium of
      any kind M `{"type": "M_url", "M_url": {"url": …}}`, `{"type": "input_M", "input_M": {"data":
      base64}}` or `{"type": "M", "M": …}`, with a data URL, a `file://` URL, a path, or such an
      object as above; `{"type": "M", "M": {"samples": [[…]], …}}` with the fields of its class.
      Remote URLs are off.
    - a dictionary of a transcript: `{"text": …}`, `{"kind": "M", "file": path}`.

    Args:
        conversation: in one of these forms.
        limits: the most that a medium may hold; `Limits()` where None.

    Raises:
        FileNotFoundError: if a file isn't there.
        ValueError: for anything else, an empty conversation, or one that the user didn't end.
    """
    turns = _turns(conversation)
    if not turns or not turns[-1][1]:
        raise ValueError("the conversation is empty; give a text, media, or messages")
    if turns[-1][0] == "assistant":
        raise ValueError("the last message is the assistant's own; add one of the user's")
    count = sum(not holds_text(part) for _, parts in turns for part in parts)
    if count > MAX_MEDIA:  # before any of them is opened
        raise ValueError(f"{count} media in one conversation; the limit is {MAX_MEDIA}")
    reader = PartReader(limits or Limits())
    return [
        Message(role, _read(reader, parts, number if len(turns) > 1 else 0))
        for number, (role, parts) in enumerate(turns, 1)
    ]


def is_batch(conversation: object) -> TypeGuard[Sequence[object]]:
    """Tell a list of conversations, each a list, from one conversation."""
    return (
        # An array and its rate are a tuple too, but one part.
        isinstance(conversation, list | tuple)
        and bool(conversation)
        and all(isinstance(each, list | tuple) and not is_pair(each) for each in conversation)
    )


def _turns(conversation: object) -> list[tuple[str, Sequence[object]]]:
    """Roles with their unread parts."""
    items: list[object] = parts_of(conversation)
    messages = [isinstance(item, Message) or _is_message(item) for item in items]
    if not any(messages):
        return [("user", items)]
    if not all(messages):
        place = messages.index(False)
        raise ValueError(
            f"item {place + 1} of the conversation is a part ({name_of(items[place])}) among "
            "messages; put it into the content of one"
        )
    return [
        (item.role, item.content) if isinstance(item, Message) else open_message(item)
        for item in items
        if isinstance(item, Message | Mapping)
    ]


def _is_message(item: object) -> bool:
    return isinstance(item, Mapping) and ("role" in item or "content" in item)


def _read(
    reader: PartReader, parts: Sequence[object], message: int
) -> list[str | Media | ToolCall]:
    """The parts of a message, each error with its place."""
    content: list[str | Media | ToolCall] = []
    for number, part in enumerate(parts, 1):
        try:
            read = reader.read(part)
            if isinstance(read, Target):
                raise MediaError("a target is for training; give the medium itself")
        except ValueError as error:
            # Of a single part there is no place to name.
            if not message and len(parts) == 1:
                raise
            place = f"message {message}, part {number}: " if message else f"part {number}: "
            raise ValueError(f"{place}{error}") from error
        content.append(read)
    return content
