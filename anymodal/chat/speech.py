"""Speech of a reply: sentences that are spoken while the text goes on."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from anymodal import __version__
from anymodal.chat.passages import PassageStart, ReplyPassages, Sentence
from anymodal.decoders.base import NonFiniteError
from anymodal.decoders.speech.base import PASSAGES
from anymodal.media import Media
from anymodal.media.provenance import Provenance
from anymodal.types import Event, MediumDelta, MediumReady, MediumStarted, TextDelta

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

_STRIDE = 1_000_003
"""Between the seeds of a passage's sentences; a prime, so that they are no other medium's."""


@dataclass(frozen=True)
class SpeechOrder:
    """A sentence to be spoken.

    Args:
        index: of its passage among the reply's media.
        name: the modality.
        text: the sentence.
        seed: of what is drawn.
        reply_seed: of the reply, for the note in the file.
    """

    index: int
    name: str
    text: str
    seed: int
    reply_seed: int


@torch.inference_mode()
def speak(model: ComposedModel, order: SpeechOrder, settings: Mapping[str, Any]) -> Media:
    """Speak a sentence.

    Args:
        model: whose speaker speaks.
        order: what to say.
        settings: arguments of `Speaker.speak`, and `passages`, which has been seen to.

    Raises:
        NonFiniteError: NaN or infinity came out.
        ValueError: it is too long, or nothing can be heard.
    """
    speaker = model.speakers.get(order.name)
    arguments = {key: value for key, value in settings.items() if key != PASSAGES}
    try:
        medium: Media = speaker.speak(order.text, seed=order.seed, **arguments)
    except NonFiniteError as error:
        raise NonFiniteError(f"the speaker of {order.name!r}: {error}", error.partial) from error
    except ValueError as error:
        raise ValueError(f"the speaker of {order.name!r}: {error}") from error
    _note(model, medium, order.reply_seed)
    return medium


def join_speech(model: ComposedModel, name: str, media: Sequence[Media], reply_seed: int) -> Media:
    """One medium of a passage's sentences."""
    medium: Media = model.speakers.get(name).join(media)
    _note(model, medium, reply_seed)
    return medium


def _note(model: ComposedModel, medium: Media, reply_seed: int) -> None:
    if model.provenance:
        creator = f"AnyModal {__version__}"
        medium.provenance = Provenance(model.name, reply_seed, creator, model.signer)


class SpeechOrders:
    """Turns a reply's text into orders of its speech.

    Args:
        model: whose reply it is.
        settings: of media by modality.
        seed: of the reply.
    """

    def __init__(
        self, model: ComposedModel, settings: Mapping[str, Mapping[str, Any]], seed: int
    ) -> None:
        self.seed = seed
        self._passages = ReplyPassages(model, settings)
        self._open: dict[str, tuple[int, int]] = {}  # index and sentences so far, by modality

    def push(
        self, text: str, next_index: Iterator[int]
    ) -> Iterator[str | MediumStarted | SpeechOrder | int]:
        """Take a piece of text.

        Args:
            text: as it was written.
            next_index: gives the index of the next medium of the reply.

        Returns:
            The text in pieces; where a passage begins, the event of it; orders; and the index of a
            passage that is complete.
        """
        yield from self._orders(self._passages.push(text), next_index)

    def flush(self, next_index: Iterator[int]) -> Iterator[str | MediumStarted | SpeechOrder | int]:
        """Give the rest, at the end of the text."""
        yield from self._orders(self._passages.flush(), next_index)

    def _orders(
        self, items: Sequence[Any], next_index: Iterator[int]
    ) -> Iterator[str | MediumStarted | SpeechOrder | int]:
        for item in items:
            if isinstance(item, str):
                yield item
            elif isinstance(item, PassageStart):
                self._open[item.name] = next(next_index), 0
                yield MediumStarted(self._open[item.name][0], item.name)
            elif isinstance(item, Sentence):
                index, count = self._open[item.name]
                self._open[item.name] = index, count + 1
                seed = (self.seed + index + _STRIDE * count) % 2**63
                yield SpeechOrder(index, item.name, item.text, seed, self.seed)
            else:
                yield self._open.pop(item.name)[0]


@dataclass
class _Passage:
    """A passage in the making."""

    name: str
    pieces: list[Media] = field(default_factory=list)
    waiting: int = 0
    is_complete: bool = False


class ReplySpeech:
    """Speaks a reply in a thread while its text is written; one that is closed ends at its next
    sentence.

    Args:
        model: whose reply it is.
        settings: of media by modality.
        seed: of the reply.

    Attributes:
        media: of the passages that are done, by index.
    """

    def __init__(
        self, model: ComposedModel, settings: Mapping[str, Mapping[str, Any]], seed: int
    ) -> None:
        self.model, self.settings, self.seed = model, settings, seed
        self.media: dict[int, Media] = {}
        self._orders = SpeechOrders(model, settings, seed)
        self._passages: dict[int, _Passage] = {}
        self._futures: deque[tuple[SpeechOrder, Future[Media]]] = deque()
        self._thread = ThreadPoolExecutor(1, "speech") if len(model.speakers) else None

    def push(self, event: TextDelta, next_index: Iterator[int]) -> Iterator[Event]:
        """Take a piece of text; give it with events of what is spoken by now."""
        if self._thread is None:
            yield event
            return
        logprobs = event.logprobs
        for item in self._orders.push(event.text, next_index):
            if isinstance(item, str):
                yield TextDelta(item, logprobs)
                logprobs = ()  # once
            else:
                yield from self._take(item)
        yield from self._ready(wait=False)

    def finish(self, next_index: Iterator[int]) -> Iterator[Event]:
        """Wait for all that is to be spoken, at the end of the text."""
        for item in self._orders.flush(next_index):
            if not isinstance(item, str):
                yield from self._take(item)
        yield from self._ready(wait=True)

    def close(self) -> None:
        """End what is under way."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def _take(self, item: MediumStarted | SpeechOrder | int) -> Iterator[Event]:
        if isinstance(item, MediumStarted):
            self._passages[item.index] = _Passage(item.modality)
            yield item
        elif isinstance(item, SpeechOrder):
            assert self._thread is not None, "there are speakers"
            self._passages[item.index].waiting += 1
            settings = self.settings[item.name]
            self._futures.append((item, self._thread.submit(speak, self.model, item, settings)))
        else:
            self._passages[item].is_complete = True
            yield from self._complete(item)

    def _ready(self, wait: bool) -> Iterator[Event]:
        while self._futures and (wait or self._futures[0][1].done()):
            order, future = self._futures.popleft()
            medium, passage = future.result(), self._passages[order.index]
            passage.pieces.append(medium)
            passage.waiting -= 1
            yield MediumDelta(order.index, order.name, medium)
            yield from self._complete(order.index)

    def _complete(self, index: int) -> Iterator[Event]:
        passage = self._passages[index]
        if not passage.is_complete or passage.waiting:
            return
        medium = join_speech(self.model, passage.name, passage.pieces, self.seed)
        self.media[index] = medium
        yield MediumReady(index, passage.name, medium)


@contextlib.contextmanager
def speaking(
    model: ComposedModel, settings: Mapping[str, Mapping[str, Any]], seed: int
) -> Iterator[ReplySpeech]:
    """A reply's speech, which ends with the block."""
    speech = ReplySpeech(model, settings, seed)
    try:
        yield speech
    finally:
        speech.close()
