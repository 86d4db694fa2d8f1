"""A conversation as token ids: its media, spans and positions, and several of them in rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

from torch import Tensor

from anymodal.language.packing import Packed
from anymodal.language.positions import with_places
from anymodal.media import Media
from anymodal.types import Target


@dataclass(frozen=True, eq=False)
class MediaReference:
    """A media item in a prompt.

    Attributes:
        modality: the modality that reads it.
        media: the item.
        start: the place of its first placeholder.
        text: what its soft tokens depend on beside it, if anything.
        number: its place among the conversation's media, from 0.
        places: of its placeholders that soft tokens stand for.
        is_beside: whether the conversation has media beside which its soft tokens are others
            (`MediaReader.beside`).
    """

    modality: str
    media: Media
    start: int
    text: str = ""
    number: int = 0
    places: Sequence[int] = ()
    is_beside: bool = False

    @cached_property
    def digest(self) -> str:
        """The item's digest, computed once for this prompt."""
        return self.media.digest()

    @property
    def key(self) -> Hashable:
        """Identifies its soft tokens, which are the same in every prompt."""
        more = [self.text] * bool(self.text) + [self.is_beside] * self.is_beside
        return (self.digest, *more) if more else self.digest


class Span(NamedTuple):
    """A signal span in a prompt: its target, the position of its first signal token, and its
    medium's place among the conversation's media.
    """

    target: Target
    start: int
    number: int = 0


@dataclass
class ChatPrompt:
    """One conversation as token ids.

    Attributes:
        ids: token ids; a media item's soft tokens are held by its placeholders.
        labels: the same length; `IGNORED` where nothing is supervised.
        media: references to the media to encode, in order.
        spans: signal spans that have a target, in order.
        opening: positions before the first message that isn't the system's.
        num_media: number of the conversation's media, also of those that nobody reads.
        axes: positions (A, T) along the language model's axes; None where they are the places.
        looks_ahead: whether all positions depend on all media, also on those behind them.
    """

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    media: list[MediaReference] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    opening: int = 0
    num_media: int = 0
    axes: Tensor | None = None
    looks_ahead: bool = False

    def keys(self) -> list[Hashable]:
        """A key for each position, to compare prompts by: a token id, with its position's distance
        from its place if there is one, or an item's key with the number of the soft token.
        """
        keys: list[Hashable] = list(self.ids)
        if self.axes is not None:
            offsets = [at - place for place, at in enumerate(self.axes[0].tolist())]
            pairs = zip(self.ids, offsets, strict=True)
            keys = [(token, offset) if offset else token for token, offset in pairs]
        for reference in self.media:
            for number, place in enumerate(reference.places or [reference.start]):
                keys[place] = (reference.key, number)
        if self.looks_ahead:
            keys[0] = (keys[0], *(reference.key for reference in self.media))
        return keys

    @property
    def positions(self) -> Tensor | None:
        """Places and positions (1 + A, T); None where they are the same."""
        return None if self.axes is None else with_places(self.axes)


class Rows(Protocol):
    """Conversations in rows, such as `PromptRows`."""

    @property
    def prompts(self) -> list[ChatPrompt]:
        """The conversations."""

    @property
    def packed(self) -> Packed:
        """Their tokens, and where each conversation begins."""


class PromptRows(NamedTuple):
    """Conversations in rows, from `PromptBuilder.lay_out`."""

    prompts: list[ChatPrompt]
    packed: Packed


def caption_spans(name: str, rows: Rows) -> Iterator[tuple[int, int, Target]]:
    """Row, first signal and target of a modality's spans that have a caption, in order."""
    for place, prompt in zip(rows.packed.places, rows.prompts, strict=True):
        for span in prompt.spans:
            if span.target.modality == name and span.target.caption:
                yield place.row, place.start + span.start, span.target
