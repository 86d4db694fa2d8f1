"""Speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anymodal.media.audio import Audio


@dataclass(eq=False, repr=False)
class Speech(Audio):
    """A sound in which a text is spoken, made by a `Speaker`; its files are those of `Audio`.

    Its kind is its own, since a reply's sounds and its spoken texts are different things: a
    language model asks for the one by signals, and has the other's words in its text already.
    """

    kind: ClassVar[str] = "speech"
    # No field without a type, as `provenance` is none: equal whatever is known of the words.
    text = ""
    """The words that are spoken, as far as they are known."""

    def __repr__(self) -> str:
        return f"Speech({self.duration:.2f} s, {len(self.samples)} ch, {self.rate} Hz)"
