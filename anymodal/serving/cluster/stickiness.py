"""Stickiness: conversations that begin alike go to the replica that has their keys and values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from anymodal.media import Media
from anymodal.serving.requests import ReplyRequest
from anymodal.types import Message

_TEXT = 256
"""Characters of a text that is to be completed, by which it is sent somewhere."""


def conversation_key(request: ReplyRequest, messages: Sequence[Message]) -> str:
    """A hash of a conversation's beginning, up to the first message of its user.

    All turns of a conversation share it. A system prompt alone doesn't count, so that those who
    have the same one are spread; each replica soon has it.
    """
    state = hashlib.sha256()
    if request.completes:
        state.update(request.conversation[:_TEXT].encode("utf-8", "replace"))
        return state.hexdigest()
    for message in messages:
        state.update(f"\0{message.role}".encode())
        for part in message.content:
            content = part.digest() if isinstance(part, Media) else str(part)
            state.update(f"\0{content}".encode("utf-8", "replace"))
        if message.role == "user":
            break
    return state.hexdigest()
