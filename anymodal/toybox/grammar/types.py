"""Conversations of the Toybox as data, before their media are rendered."""

from __future__ import annotations

from dataclasses import dataclass

from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.scene import Scene


@dataclass(frozen=True)
class Medium:
    """A medium of a scene that stands in a conversation."""

    scene: Scene
    modality: str

    @property
    def told(self) -> dict[str, str]:
        """What the medium tells."""
        return self.scene.observable(self.modality)

    @property
    def caption(self) -> str:
        """The caption of the medium."""
        return caption(self.told, self.modality)


@dataclass(frozen=True)
class Turn:
    """What one side says: a user's media come before the words, an assistant's amid them."""

    role: str
    parts: tuple[str | Medium, ...]

    @property
    def text(self) -> str:
        """The words, joined."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def media(self) -> tuple[Medium, ...]:
        """The media, in order."""
        return tuple(part for part in self.parts if isinstance(part, Medium))


@dataclass(frozen=True)
class Dialogue:
    """A conversation whose answers are known.

    Args:
        turns: user and assistant in turn; the assistant has the last word.
        kind: which kind of conversation it is.
        answers: for each of the assistant's turns, what each of its media must tell, in order; or,
            where it has none, what its words must tell; nothing where its words are free.
        from_input: what in the last answer only the given media tell, not the words.
    """

    turns: tuple[Turn, ...]
    kind: str
    answers: tuple[tuple[dict[str, str], ...], ...]
    from_input: tuple[str, ...] = ()
