"""Messages as a user writes them."""

from __future__ import annotations

from typing import Any

from anymodal.chat.messages import conversation_of
from anymodal.media import (
    Media,
)
from anymodal.media.base import data_uri


def parts(given_parts: Any) -> list[Any]:
    (message,) = conversation_of(given_parts)
    assert message.role == "user"
    return message.content


def turn(*content: dict[str, Any] | str, role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": list(content)}]


def data_url(medium: Media, suffix: str = "") -> str:
    return data_uri("application/x", medium.encode(suffix or medium.suffix))
