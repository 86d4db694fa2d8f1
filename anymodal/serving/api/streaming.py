"""Streamed answers: server-sent events, as OpenAI's clients read them."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from anymodal.serving.api.errors import ApiError, api_error
from anymodal.serving.api.metrics import Metrics
from anymodal.serving.api.state import wait_for_disconnect
from anymodal.serving.requests import ReplyStream
from anymodal.types import Event, MediumDelta, MediumReady

Json = dict[str, Any]


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def sse(item: Mapping[str, Any]) -> bytes:
    """An object as a server-sent event, under the name of its type if it has one."""
    name = f"event: {item['type']}\n" if "type" in item else ""
    return f"{name}data: {_ENCODE(item)}\n\n".encode()


EventGroup = list[tuple[int, Event]]
"""Events that come together, each with the index of its reply."""


async def merge_events(
    name: str, streams: Sequence[ReplyStream], metrics: Metrics
) -> AsyncGenerator[EventGroup]:
    """Events of several replies as they come.

    Raises:
        Exception: what a reply ended in.
    """
    if len(streams) == 1:
        async for events in metrics.watch_groups(name, streams[0]):
            yield [(0, event) for event in events]
        return
    queue: asyncio.Queue[EventGroup | Exception] = asyncio.Queue()

    async def forward(index: int, stream: ReplyStream) -> None:
        try:
            async for events in metrics.watch_groups(name, stream):
                queue.put_nowait([(index, event) for event in events])
            queue.put_nowait([])
        except Exception as error:
            queue.put_nowait(error)

    tasks = [asyncio.create_task(forward(index, each)) for index, each in enumerate(streams)]
    num_open = len(tasks)
    try:
        while num_open:
            group = await queue.get()
            if isinstance(group, Exception):
                raise group
            if group:
                yield group
            else:
                num_open -= 1
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
        if isinstance(event, MediumReady | MediumDelta):  # encoding one takes a while
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
        self._groups = merge_events(name, streams, metrics)
        self._watcher: asyncio.Task[None] | None = None

    async def response(self, request: Request) -> Response:
        """The answer. It begins with the first event, so that a request that is refused gets a
        status of its own.

        Raises:
            ClientDisconnect: if the client leaves before.
            Exception: what a reply ended in before its first event.
        """
        self._watcher = asyncio.create_task(self._end_with_client(request))
        try:
            first_group = await anext(self._groups, None)
            if first_group is None:
                raise ClientDisconnect
        except BaseException:
            await self._close()
            raise
        return _EventResponse(self._body(first_group), self._close)

    async def _end_with_client(self, request: Request) -> None:
        await wait_for_disconnect(request)
        for stream in self.streams:
            await stream.aclose()

    async def _body(self, first_group: EventGroup) -> AsyncGenerator[bytes]:
        try:
            # With its first event, which may be all that the client waits for.
            yield _encode(self.form.opening()) + await self._take(first_group)
            async for group in self._groups:
                yield await self._take(group)
            yield _encode(self.form.closing()) + self.form.end
        except Exception as error:
            yield _encode(self.form.failure(api_error(error)))

    async def _take(self, group: EventGroup) -> bytes:
        return b"".join([_encode(await self.form.take(index, event)) for index, event in group])

    async def _close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        await self._groups.aclose()
        for stream in self.streams:
            await stream.aclose()


class _EventResponse(Response):
    """An answer in pieces. `StreamingResponse` would start two tasks more, for which a
    small model's first token waits; who leaves is noticed by `EventStream` from the beginning.

    Args:
        body: the pieces.
        close: called in the end, whatever that is.
    """

    media_type = "text/event-stream"

    def __init__(self, body: AsyncGenerator[bytes], close: Callable[[], Awaitable[None]]) -> None:
        self.status_code, self.background = 200, None
        self._body, self._close = body, close
        # The second is nginx's, which would hold events back.
        self.init_headers({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            await send(start)
            async for piece in self._body:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._body.aclose()
            await self._close()


def _encode(items: Sequence[Json]) -> bytes:
    return b"".join(map(sse, items))
