"""Conversations of the Toybox as data, before their media are rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.scene import Scene


@dataclass(frozen=True)
class MediaItem:
    """A media item of a scene that stands in a conversation, not rendered yet.

    Args:
        scene: what it shows.
        modality: in which.
        references: of a reply's item, the numbers of the conversation's media that it is made from,
            counted from 0.
        outside: what it shows instead of the scene, where that is nothing of the Toybox.
    """

    scene: Scene
    modality: str
    references: tuple[int, ...] = ()
    outside: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes that can be read off the item."""
        return {} if self.outside else self.scene.observable(self.modality)

    @property
    def caption(self) -> str:
        """The caption of the item."""
        return self.outside or caption(self.attributes, self.modality)


class Entry(NamedTuple):
    """A media item of a conversation: its number, itself, and whose message holds it."""

    number: int
    item: MediaItem
    role: str

    def made_into(self, item: MediaItem) -> MediaItem:
        """An item made from this one: an edit of it, or a video that begins with this image."""
        looks = ("thing", "color", "size")
        begins = (self.item.modality, item.modality) == ("image", "video") and all(
            getattr(self.item.scene, name) == getattr(item.scene, name) for name in looks
        )
        if self.item.modality == item.modality or begins:
            return replace(item, references=(self.number,))
        return item


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
        forgets: what stood before the first turn is no longer shown, and a notice says so.
        alone: its words count on all media before them, so no other conversation comes before it.
    """

    turns: tuple[DialogueTurn, ...]
    kind: str
    answers: tuple[tuple[dict[str, str], ...], ...]
    from_input: tuple[str, ...] = ()
    forgets: bool = False
    alone: bool = False
