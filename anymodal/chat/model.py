"""A composed network that chats."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, overload

from anymodal.chat import turn
from anymodal.core import ComposedModel
from anymodal.types import Event, Message


class ChatModel(ComposedModel):
    """A composed network with `chat` and `stream`; sessions talk to it through these."""

    def stream(self, conversation: Any, **settings: Any) -> Generator[Event]:
        """Answer a conversation piece by piece; see `chat.turn.stream` for the settings."""
        return turn.stream(self, conversation, **settings)

    @overload
    def chat(
        self, conversation: list[list[Any]] | tuple[list[Any], ...], **settings: Any
    ) -> list[Message]: ...

    @overload
    def chat(self, conversation: Any, **settings: Any) -> Message: ...

    def chat(self, conversation: Any, **settings: Any) -> Message | list[Message]:
        """Answer a conversation, or a list of them in batches; a reply holds texts and media.

        `conversation` is a text, a list of texts, media and file paths (one user message), or a
        list of `Message`s; or a list of such lists, which gives a list of replies. See
        `chat.turn.stream` for the settings and `chat.turn.reply` for seeds of several.
        """
        return turn.reply(self, conversation, **settings)
