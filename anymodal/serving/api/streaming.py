"""Streamed answers: server-sent events, as OpenAI's clients read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

from anymodal.serving.api.errors import api_error
from anymodal.serving.api.metrics import Metrics
from anymodal.serving.api.state import while_connected
from anymodal.serving.requests import ReplyStream
from anymodal.types import Done, Event, MediumReady

Json = dict[str, Any]
Chunk = Callable[[int, Json | None, str | None], Json]
"""Makes a chunk of a choice's index, its delta, and its reason to end."""
_END = b"data: [DONE]\n\n"


def sse(item: Mapping[str, Any]) -> bytes:
    """An object as a server-sent event."""
    return f"data: {json.dumps(item, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


async def merged(
    name: str, streams: Sequence[ReplyStream], metrics: Metrics
) -> AsyncGenerator[tuple[int, Event]]:
    """Events of several replies as they come, each with the index of its reply.

    Raises:
        Exception: what a reply ended in.
    """
    if len(streams) == 1:
        async for event in metrics.watched(name, streams[0]):
            yield 0, event
        return
    queue: asyncio.Queue[tuple[int, Event | Exception]] = asyncio.Queue()

    async def read(index: int, stream: ReplyStream) -> None:
        try:
            async for event in metrics.watched(name, stream):
                queue.put_nowait((index, event))
        except Exception as error:
            queue.put_nowait((index, error))

    tasks = [asyncio.create_task(read(index, each)) for index, each in enumerate(streams)]
    left = len(tasks)
    try:
        while left:
            index, item = await queue.get()
            if isinstance(item, Exception):
                raise item
            left -= isinstance(item, Done)
            yield index, item
    finally:
        for task in tasks:
            task.cancel()


@dataclass(frozen=True)
class StreamFormat:
    """How an endpoint tells of replies.

    Args:
        chunk: makes chunks.
        delta: what to tell of an event; None for nothing.
        opening: the delta with which each choice begins; None for none.
        usage: makes the last chunk, with the usage; None for none.
    """

    chunk: Chunk
    delta: Callable[[int, Event], Json | None]
    opening: Json | None = None
    usage: Callable[[], Json] | None = None


class EventStream:
    """The answer to a request with `stream`.

    Args:
        name: of the model, for the metrics.
        streams: the replies; they are cancelled when the client leaves.
        metrics: that count.
        form: how to tell of them.
    """

    def __init__(
        self, name: str, streams: Sequence[ReplyStream], metrics: Metrics, form: StreamFormat
    ) -> None:
        self.streams, self.form = streams, form
        self._events = merged(name, streams, metrics)

    async def response(self, request: Request) -> StreamingResponse:
        """The answer. It begins with the first event, so that a request that is refused gets a
        status of its own.

        Raises:
            Exception: what a reply ended in before its first event.
        """
        try:
            first = await while_connected(request, anext(self._events))
        except BaseException:
            await self._close()
            raise
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._body(first), media_type="text/event-stream", headers=headers)

    async def _body(self, first: tuple[int, Event]) -> AsyncIterator[bytes]:
        try:
            for index in range(len(self.streams) if self.form.opening is not None else 0):
                yield sse(self.form.chunk(index, self.form.opening, None))
            for item in await self._chunks(*first):
                yield item
            async for index, event in self._events:
                for item in await self._chunks(index, event):
                    yield item
            if self.form.usage is not None:
                yield sse(self.form.usage())
            yield _END
        except Exception as error:
            yield sse(api_error(error).body)
        finally:
            await self._close()

    async def _chunks(self, index: int, event: Event) -> list[bytes]:
        """What is sent for an event."""
        if isinstance(event, MediumReady):  # encoding one takes a while
            delta = await asyncio.to_thread(self.form.delta, index, event)
        else:
            delta = self.form.delta(index, event)
        chunks = [] if delta is None else [self.form.chunk(index, delta, None)]
        if isinstance(event, Done):
            chunks.append(self.form.chunk(index, None, self.streams[index].finish_reason))
        return [sse(chunk) for chunk in chunks]

    async def _close(self) -> None:
        await self._events.aclose()
        for stream in self.streams:
            await stream.aclose()
