"""Warnings about recordings of a request of which a model reads the beginning alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from anymodal.encoders.lengths import cut_warning
from anymodal.media import Media


class CutMedium(NamedTuple):
    """A recording of which the beginning alone is read.

    Attributes:
        place: where it stands in the request.
        text: a warning that tells how much is read.
    """

    place: str
    text: str

    @property
    def as_json(self) -> Mapping[str, str]:
        """The warning as clients get it."""
        return {"message": self.text, "param": self.place, "code": "recording_cut"}


def cut_media(readers: Iterable[Any], media: Iterable[tuple[str, Media]]) -> list[CutMedium]:
    """The recordings among media, with their places, that a model reads the beginning of.

    Args:
        readers: encoders of media, and a language model's own readers of them.
        media: of the request.
    """
    if not (media := list(media)):  # as mostly
        return []
    seconds = {each.media: each.seconds_read for each in readers}
    texts = [(place, cut_warning(medium, seconds.get(type(medium)))) for place, medium in media]
    return [
        CutMedium(place, f"{text}; send the part that matters, or pieces one by one")
        for place, text in texts
        if text is not None
    ]
