"""A medium with words that say what it shows: the sample of every captioned data set."""

from __future__ import annotations

from dataclasses import dataclass

from anymodal.media import Media
from anymodal.types import valid_text


@dataclass(frozen=True)
class Captioned:
    """A medium of a modality and its caption.

    `details` are shorter captions that tell one thing each, in an order that all samples share,
    and are empty where a sample has nothing to tell of it. Lone surrogates become U+FFFD.
    """

    modality: str
    media: Media
    caption: str
    details: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "caption", valid_text(self.caption))
        object.__setattr__(self, "details", tuple(map(valid_text, self.details)))
