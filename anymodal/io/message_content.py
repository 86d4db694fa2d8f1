"""Roles, texts and targets of messages, before their parts are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from anymodal.config import suggest
from anymodal.media import Media
from anymodal.media.objects import is_pair

ROLES = ("system", "user", "assistant", "tool")
"""Who says a message; `tool` gives the result of a call."""
_NEWER_NAMES = {"developer": "system"}
_WITH_MESSAGES = {"seed", "loss"}
"""Keys of a transcript's message that say nothing of its content."""


def valid_text(text: str) -> str:
    """The text as Unicode that can be encoded: surrogate pairs joined, lone ones as U+FFFD.

    Undecodable bytes of a terminal or a file name come as lone surrogates, JSON can spell them, and
    neither a tokenizer nor a UTF-8 file takes them.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def parts_of(content: object) -> list[Any]:
    """The parts that a content is: those of a list, or it alone; an array with its rate is one."""
    if isinstance(content, tuple):
        return [content] if is_pair(content) else list(content)
    if isinstance(content, list | Iterator) and not hasattr(content, "read"):  # as a file has
        return list(content)
    return [content]


@dataclass(frozen=True)
class Target:
    """A medium that an assistant's message should contain, at its place between the texts.

    Args:
        modality: name of the output modality.
        caption: what the medium shows, the source of the alignment target.
        media: the medium itself, for the denoising loss and as an input of later turns.
        references: the media that it is made from, by their numbers in the conversation, from 0;
            media that replies contain count too.
        find: whether it is to be found rather than made, where a decoder chooses; None where nobody
            says.
    """

    modality: str
    caption: str
    media: Media | None = None
    references: tuple[int, ...] = ()
    find: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "caption", valid_text(self.caption))


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool, in an assistant's message.

    Args:
        name: of the tool.
        arguments: a JSON object as text.
        id: by which the tool's result names it.
    """

    name: str
    arguments: str
    id: str = ""


def open_message(message: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Role and parts of a message's dictionary; keys with nothing in them say nothing."""
    if not isinstance(message, Mapping):
        raise ValueError(f"a message is a dictionary with role and content, not {name_of(message)}")
    role = message.get("role")
    role = _NEWER_NAMES.get(role, role) if isinstance(role, str) else role
    if role not in ROLES:
        raise ValueError(f"there is no role {role!r}{suggest(str(role), ROLES)}")
    if "content" not in message:
        raise ValueError(
            f"the {role}'s message has no content; it has {', '.join(map(str, message))}"
        )
    for key in message.keys() - {"role", "content"} - _WITH_MESSAGES:
        if message[key] not in (None, "", [], {}):
            raise ValueError(
                f"a message's {key!r} is not read here{suggest(str(key), ('role', 'content'))}"
            )
    content = message["content"]
    if content is None:  # OpenAI's way of an assistant that says nothing
        return role, []
    return role, parts_of(content)


def name_of(item: object) -> str:
    """An object for an error, by its class."""
    return f"a {type(item).__name__}"
