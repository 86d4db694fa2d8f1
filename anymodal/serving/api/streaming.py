"""Streamed answers: server-sent events, as OpenAI's clients read them."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

from anymodal.serving.api.errors import ApiError, api_error
from anymodal.serving.api.metrics import Metrics
from anymodal.serving.api.state import while_connected
from anymodal.serving.requests import ReplyStream
from anymodal.types import Done, Event, MediumReady

Json = dict[str, Any]


def sse(item: Mapping[str, Any]) -> bytes:
    """An object as a server-sent event, under the name of its type if it has one."""
    name = f"event: {item['type']}\n" if "type" in item else ""
    data = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    return f"{name}data: {data}\n\n".encode()


async def merge_events(
    name: str, streams: Sequence[ReplyStream], metrics: Metrics
) -> AsyncGenerator[tuple[int, Event]]:
    """Events of several replies as they come, each with the index of its reply.

    Raises:
        Exception: what a reply ended in.
    """
    if len(streams) == 1:
        async for event in metrics.watch(name, streams[0]):
            yield 0, event
        return
    queue: asyncio.Queue[tuple[int, Event | Exception]] = asyncio.Queue()

    async def forward(index: int, stream: ReplyStream) -> None:
        try:
            async for event in metrics.watch(name, stream):
                queue.put_nowait((index, event))
        except Exception as error:
            queue.put_nowait((index, error))

    tasks = [asyncio.create_task(forward(index, each)) for index, each in enumerate(streams)]
    num_open = len(tasks)
    try:
        while num_open:
            index, item = await queue.get()
            if isinstance(item, Exception):
                raise item
            num_open -= isinstance(item, Done)
            yield index, item
    finally:
        for task in tasks:
            task.cancel()


class StreamFormat(ABC):
    """The chunks by which an endpoint streams replies.

    Attributes:
        end: what stands behind the last object.
    """

    end = b"data: [DONE]\n\n"

    def opening(self) -> list[Json]:
        """Chunks before all events."""
        return []

    @abstractmethod
    def event_json(self, index: int, event: Event) -> list[Json]:
        """Chunks for an event of the reply at an index."""

    def closing(self) -> list[Json]:
        """Chunks after all events."""
        return []

    async def take(self, index: int, event: Event) -> list[Json]:
        """The chunks of an event; those of a medium are made in a thread."""
        if isinstance(event, MediumReady):  # encoding one takes a while
            return await asyncio.to_thread(self.event_json, index, event)
        return self.event_json(index, event)

    def failure(self, error: ApiError) -> list[Json]:
        """Chunks for an error in the middle."""
        return [error.body]


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
        self._events = merge_events(name, streams, metrics)

    async def response(self, request: Request) -> StreamingResponse:
        """The answer. It begins with the first event, so that a request that is refused gets a
        status of its own.

        Raises:
            Exception: what a reply ended in before its first event.
        """
        try:
            first_item = await while_connected(request, anext(self._events))
        except BaseException:
            await self._close()
            raise
        # The second is nginx's, which would hold events back.
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._body(first_item), media_type="text/event-stream", headers=headers
        )

    async def _body(self, first_item: tuple[int, Event]) -> AsyncIterator[bytes]:
        try:
            yield _encode(self.form.opening())
            yield _encode(await self.form.take(*first_item))
            async for index, event in self._events:
                yield _encode(await self.form.take(index, event))
            yield _encode(self.form.closing()) + self.form.end
        except Exception as error:
            yield _encode(self.form.failure(api_error(error)))
        finally:
            await self._close()

    async def _close(self) -> None:
        await self._events.aclose()
        for stream in self.streams:
            await stream.aclose()


def _encode(items: Sequence[Json]) -> bytes:
    return b"".join(map(sse, items))
