"""Conversations of the Toybox as data, before their media are rendered."""

from __future__ import annotations

from dataclasses import dataclass

from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.scene import Scene


@dataclass(frozen=True)
class MediaItem:
    """A media item of a scene that stands in a conversation, not rendered yet."""

    scene: Scene
    modality: str

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes that can be read off the item."""
        return self.scene.observable(self.modality)

    @property
    def caption(self) -> str:
        """The caption of the item."""
        return caption(self.attributes, self.modality)


@dataclass(frozen=True)
class DialogueTurn:
    """One message: a user's media come before the words, an assistant's among them."""

    role: str
    parts: tuple[str | MediaItem, ...]

    @property
    def text(self) -> str:
        """The words, joined."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def media(self) -> tuple[MediaItem, ...]:
        """The media, in order."""
        return tuple(part for part in self.parts if isinstance(part, MediaItem))


@dataclass(frozen=True)
class ReferenceDialogue:
    """A conversation with the attributes that its replies must show.

    Args:
        turns: user and assistant in turn; the assistant has the last word.
        kind: kind of conversation, one of `dialogues.KINDS`.
        answers: for each of the assistant's turns the expected attributes: of each of its media, in
            order; or, where it has none, of its words; nothing where its words are free.
        from_input: attributes of the last answer that only the user's media show, not the words.
    """

    turns: tuple[DialogueTurn, ...]
    kind: str
    answers: tuple[tuple[dict[str, str], ...], ...]
    from_input: tuple[str, ...] = ()
