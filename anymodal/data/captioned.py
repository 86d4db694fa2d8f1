"""Captioned media: the samples of captioning data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

from anymodal.io.message_content import valid_text
from anymodal.media import Media


class CaptionedMedium(Protocol):
    """A medium, its caption, and the media that it was made from: `Captioned`, or an `EditSample`.

    A decoder learns from it alone.
    """

    @property
    def media(self) -> Media:
        """The medium."""

    @property
    def caption(self) -> str:
        """Text that it is made by."""

    @property
    def references(self) -> Sequence[Media]:
        """Media that it was made from."""


class _Captioned(NamedTuple):
    modality: str
    media: Media
    caption: str
    details: tuple[str, ...] = ()
    references: tuple[Media, ...] = ()


class Captioned(_Captioned):
    """A medium of a modality and its caption.

    `details` are shorter captions that tell one thing each, in an order that all samples share,
    and are empty where a sample has nothing to tell of it. `references` are media that it was made
    from, as the picture that it is an edit of. Lone surrogates become U+FFFD.
    """

    __slots__ = ()  # else each sample would carry a dictionary

    def __new__(
        cls,
        modality: str,
        media: Media,
        caption: str,
        details: tuple[str, ...] = (),
        references: tuple[Media, ...] = (),
    ) -> Self:
        texts = tuple(map(valid_text, details))
        return super().__new__(cls, modality, media, valid_text(caption), texts, references)

    def with_references(self, *media: Media) -> Self:
        """The same, made from these media."""
        return type(self)(self.modality, self.media, self.caption, self.details, media)
