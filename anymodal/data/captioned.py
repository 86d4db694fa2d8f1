"""A medium with words that say what it shows: the sample of every captioned data set."""

from __future__ import annotations

from typing import NamedTuple

from anymodal.media import Media


class Captioned(NamedTuple):
    """A medium of a modality and its caption.

    `details` are shorter captions that tell one thing each, in an order that all samples share,
    and are empty where a sample has nothing to tell of it.
    """

    modality: str
    media: Media
    caption: str
    details: tuple[str, ...] = ()
