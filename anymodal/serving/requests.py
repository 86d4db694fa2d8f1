"""Requests of an engine, streams of replies, and their errors."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from anymodal.chat.references import ReferencesByModality
from anymodal.chat.settings import TextSettings
from anymodal.language.template_messages import ToolDefinition
from anymodal.serving.content_filter import ContentFilter, check_content
from anymodal.serving.errors import DeadlineError
from anymodal.types import (
    Done,
    Event,
    MediumDelta,
    MediumReady,
    Message,
    TextDelta,
    TokenUsage,
    ToolCalled,
)


@dataclass(frozen=True)
class ReplyRequest:
    """One reply that is asked for.

    Args:
        conversation: see `messages.conversation_of`; or a text to go on with, if `completes`.
        completes: whether the text is continued as it stands, without a chat template.
        seed: of the sampled text and of the media; None draws one.
        text: settings of the text.
        sampling: settings of media by modality, over the model's own.
        references: what media are made from, by modality; what the model chooses where left out.
        forced: the reply consists of media of these modalities and nothing else.
        tools: that the reply may call, as OpenAI's API has them.
        parallel_calls: whether it may call several; if not, it ends with the first call.
        timeout: the longest that it may take, in seconds; None for the engine's own limit.
    """

    conversation: Any
    completes: bool = False
    seed: int | None = None
    text: TextSettings = field(default_factory=lambda: TextSettings())
    sampling: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    references: ReferencesByModality = field(default_factory=dict)
    forced: Sequence[str] = ()
    tools: Sequence[ToolDefinition] = ()
    parallel_calls: bool = True
    timeout: float | None = None


@dataclass(frozen=True)
class ReplyEnd:
    """The end of a reply."""

    message: Message
    finish_reason: str
    usage: TokenUsage


Item = Event | ReplyEnd | Exception
"""An event of a reply, or its end."""


GATHER_SECONDS = 0.01
"""For which the events of one wake-up of the loop gather. No reader notices; and each wake-up takes
the interpreter's lock from the thread that writes, longer than a small model's token takes."""


class Mailbox:
    """Carries items from an engine's threads to one event loop, many by one wake-up.

    The first item wakes the loop. Those of the next moment gather, until one ends a reply.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._items: deque[tuple[asyncio.Queue[Item], Item]] = deque()
        self._is_awake = False  # the loop will look at the items without being told
        self._timer: asyncio.TimerHandle | None = None

    def put(self, queue: asyncio.Queue[Item], item: Item) -> None:
        """Put an item into a queue of the loop, from any thread."""
        self._items.append((queue, item))
        if not self._is_awake or isinstance(item, ReplyEnd | Exception):
            self._is_awake = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and its readers with it
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        while self._items:
            queue, item = self._items.popleft()
            queue.put_nowait(item)
        if self._timer is None:
            self._timer = self.loop.call_later(GATHER_SECONDS, self._end_gathering)

    def _end_gathering(self) -> None:
        self._timer = None
        self._is_awake = False  # first, so that what is put from now on wakes the loop again
        if self._items:
            self._is_awake = True
            self._deliver()


class Channel:
    """Carries one reply from an engine's threads to who asked.

    Attributes:
        cancelled: set when nobody reads any more.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.items: asyncio.Queue[Item] = asyncio.Queue()
        self.cancelled = threading.Event()

    def put(self, item: Item) -> None:
        """Hand over an event, or what ends the reply."""
        self.mailbox.put(self.items, item)


_CLOSED = StopAsyncIteration()
"""Wakes a reader whose stream is closed by somebody else."""


class ReplyStream(AsyncIterator[Event]):
    """The events of a reply as they come, `Done` last. Close or drop it to cancel the request.

    Attributes:
        usage: tokens, known with the last event.
        finish_reason: `stop`, `length` or `tool_calls`, known with the last event.

    Raises:
        ContentFilterError: while it is read, if something may not pass the operator's filter.
        DeadlineError: while it is read, if the request took too long.
        OutOfMemoryError: while it is read, if there was no memory for it, even alone.
        ValueError: while it is read, if the conversation doesn't fit the model.
    """

    def __init__(
        self, channel: Channel, timeout: float, content_filter: ContentFilter | None = None
    ) -> None:
        self._filter, self._text = content_filter, ""
        self._error: Exception | None = None
        self.usage = TokenUsage()
        self.finish_reason: str | None = None
        self._channel, self._has_ended = channel, False
        late = DeadlineError(timeout)
        # By the loop too: a thread in the middle of a long step can't look at the clock.
        self._timer = channel.mailbox.loop.call_later(timeout, channel.items.put_nowait, late)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._has_ended:
            raise StopAsyncIteration
        item = await self._channel.items.get()
        if self._has_ended:  # closed while this waited
            raise StopAsyncIteration
        if not isinstance(item, Exception | ReplyEnd):
            if self._filter is not None:
                await self._check(item)
            return item
        await self.aclose()
        if isinstance(item, Exception):
            raise item
        self.usage, self.finish_reason = item.usage, item.finish_reason
        return Done(item.message)

    async def next_events(self) -> list[Event]:
        """The next event, and those that have come by then; none at the end."""
        if self._error is not None:
            raise self._error
        events: list[Event] = []
        try:
            async for event in self:
                events.append(event)
                if self._channel.items.empty():
                    break
        except Exception as error:
            if not events:
                raise
            self._error = error  # after what came before it
        return events

    async def _check(self, event: Event) -> None:
        """Show what comes to the operator's filter; what may not pass ends the reply."""
        items: list[object] = []
        if isinstance(event, TextDelta):
            self._text += event.text
            items = [self._text]
        elif isinstance(event, ToolCalled):
            items = [event.call.arguments]
        elif isinstance(event, MediumReady | MediumDelta):
            items = [event.media]
        try:
            await check_content(self._filter, items, "out")
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Cancel what is left of the request; it ends at its next step."""
        self._has_ended = True
        self._timer.cancel()
        self._channel.cancelled.set()
        self._channel.items.put_nowait(_CLOSED)

    def __del__(self) -> None:
        # Of a stream that was dropped, as by a `break` out of its loop; no loop may run any more.
        self._channel.cancelled.set()
