"""One request on its way through an engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anymodal.chat.orders import Order
from anymodal.chat.references import ReplyReferences
from anymodal.chat.reply_text import ReplyText
from anymodal.chat.speech import SpeechOrder, SpeechOrders
from anymodal.language.sampling import Sampling
from anymodal.language.tool_formats import ToolFormat
from anymodal.media import Media
from anymodal.serving.errors import DeadlineError
from anymodal.serving.requests import Channel, ReplyEnd, ReplyRequest
from anymodal.types import (
    ChoiceScore,
    Event,
    MediumReady,
    MediumStarted,
    Message,
    TextDelta,
    TokenLogprob,
    TokenUsage,
    ToolCall,
    ToolCalled,
)


@dataclass(frozen=True, eq=False)
class SpeechTask:
    """A sentence to be spoken for a job, or the index of a passage that is complete."""

    job: Job
    order: SpeechOrder | int


@dataclass(frozen=True)
class JobSettings:
    """A request's settings, checked; with a format of tool calls if it may call any."""

    sampling: Sampling
    media: Mapping[str, Mapping[str, Any]]
    seed: int
    timeout: float
    tools: ToolFormat | None = None


class Job:
    """A request: its settings, what came of it so far, and whether anybody still waits for it.

    Several threads work on one: its text goes on while its media are made.

    Args:
        request: what was asked for.
        messages: its conversation; empty for a text that is to be completed.
        settings: its settings.
        channel: where events go.
        on_end: called once, when it is complete, failed or cancelled.
        references: chooses what its media are made from.

    Attributes:
        num_media: number of media that the reply has asked for.
        order_speech: has a sentence spoken.
    """

    def __init__(
        self,
        request: ReplyRequest,
        messages: Sequence[Message],
        settings: JobSettings,
        channel: Channel,
        on_end: Callable[[Job], None],
        references: ReplyReferences,
    ) -> None:
        self.request, self.messages, self.settings = request, messages, settings
        self.references = references
        self.usage = TokenUsage()
        self.error: Exception | None = None
        self.began = time.monotonic()
        self._channel, self._on_end = channel, on_end
        self._text = ReplyText(settings.tools, request.parallel_calls, request.tools)
        self._speech = SpeechOrders(references.model, settings.media, settings.seed)
        self.order_speech: Callable[[SpeechTask], None] | None = None
        self._content: list[str | int | ToolCall] = []  # media by their indices
        self._media: dict[int, Media] = {}
        self._waiting: list[tuple[Order, Callable[[Order], None]]] = []
        self.num_media = 0
        self._finish_reason: str | None = None
        self._choices: tuple[ChoiceScore, ...] = ()
        self._has_ended = False
        self._lock = threading.Lock()

    @property
    def is_alive(self) -> bool:
        """True while it is worth a further step; a job that isn't ends here."""
        if self._has_ended:
            return False
        if self._channel.cancelled.is_set():
            self._end()
            return False
        if time.monotonic() > self.began + self.settings.timeout:
            self.fail(DeadlineError(self.settings.timeout))
            return False
        return True

    @property
    def media_settings(self) -> Mapping[str, Mapping[str, Any]]:
        """Settings of media by modality."""
        return self.settings.media

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        if not self._has_ended:
            self._channel.put(event)

    @property
    def has_all_text(self) -> bool:
        """True once the one call of a tool came that there may be."""
        return self._text.is_complete

    def write(self, text: str, logprobs: Sequence[TokenLogprob] = ()) -> None:
        """Take a piece of text, as far as no call of a tool begins in it."""
        self._add(self._text.push(text, logprobs))

    def start_medium(self, modality: str) -> None:
        """Note that the reply asks for a medium."""
        self._add(self._text.flush())  # no call reaches beyond a medium
        with self._lock:
            index, self.num_media = self.num_media, self.num_media + 1
            self._content.append(index)
        self.emit(MediumStarted(index, modality))

    def order_medium(self, order: Order, make: Callable[[Order], None]) -> None:
        """Have a medium made, once the media of this reply that it is made from are there.

        Args:
            order: of the medium.
            make: called with the order, and with what it is made from.
        """
        with self._lock:
            self._waiting.append((order, make))
        self._make_ready()

    def _make_ready(self) -> None:
        with self._lock:
            ready, waiting = [], []
            for order, make in self._waiting:
                if (complete := order.with_media(self._media)) is None:
                    waiting.append((order, make))
                else:
                    ready.append((complete, make))
            self._waiting = waiting
        for order, make in ready:  # outside the lock, since it calls code of others
            make(order)

    def finish_medium(self, index: int, modality: str, medium: Media) -> None:
        """Take a medium; with the last one the reply is complete."""
        self.emit(MediumReady(index, modality, medium))
        with self._lock:
            self._media[index] = medium
        self._make_ready()
        self._finish_if_complete()

    def finish_text(
        self, reason: str, usage: TokenUsage, choices: tuple[ChoiceScore, ...] = ()
    ) -> None:
        """Note that no more text comes."""
        self._add(self._text.flush())
        reason = self._text.finish_reason(reason)
        self._take(self._speech.flush(self._indices()))
        with self._lock:
            self._finish_reason, self.usage, self._choices = reason, usage, choices
        self._finish_if_complete()

    def fail(self, error: Exception) -> None:
        """End the reply with an error."""
        self._end(error)

    def _add(self, events: Iterable[TextDelta | ToolCalled]) -> None:
        for event in events:
            if isinstance(event, TextDelta):
                self._take(self._speech.push(event.text, self._indices()), event.logprobs)
                continue
            with self._lock:
                self._content.append(event.call)
            self.emit(event)

    def _indices(self) -> Iterator[int]:
        """Indices of further media."""
        while True:
            with self._lock:
                index, self.num_media = self.num_media, self.num_media + 1
            yield index

    def _take(
        self,
        items: Iterable[str | MediumStarted | SpeechOrder | int],
        logprobs: Sequence[TokenLogprob] = (),
    ) -> None:
        """Take text, and what it says about speech."""
        for item in items:
            if isinstance(item, str):
                with self._lock:
                    self._content.append(item)
                self.emit(TextDelta(item, tuple(logprobs)))
                logprobs = ()  # once
            elif isinstance(item, MediumStarted):
                with self._lock:
                    self._content.append(item.index)
                self.emit(item)
            else:
                assert self.order_speech is not None, "whoever has speakers sets it"
                self.order_speech(SpeechTask(self, item))

    def _finish_if_complete(self) -> None:
        with self._lock:
            reason = self._finish_reason
            if reason is None or len(self._media) < self.num_media:
                return
            message = Message(
                "assistant",
                self._merge_texts(),
                finish_reason=reason,
                usage=self.usage,
                choices=self._choices,
            )
        self._end(ReplyEnd(message, reason, self.usage))

    def _merge_texts(self) -> list[Any]:
        """Texts and media in order, neighbouring texts as one."""
        parts: list[Any] = []
        for part in self._content:
            if isinstance(part, int):
                parts.append(self._media[part])
            elif isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
        return parts

    def _end(self, item: ReplyEnd | Exception | None = None) -> None:
        with self._lock:
            if self._has_ended:
                return
            self._has_ended = True
        # Outside the lock, since both call code of others; and before the item is put: who has the
        # reply may ask for the next one.
        self.error = item if isinstance(item, Exception) else None
        self._on_end(self)
        if item is not None:
            self._channel.put(item)
