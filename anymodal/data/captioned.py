"""A medium with words that say what it shows: the sample of every captioned data set."""

from __future__ import annotations

from typing import NamedTuple

from anymodal.media import Media


class Captioned(NamedTuple):
    """A medium of a modality and its caption."""

    modality: str
    media: Media
    caption: str
