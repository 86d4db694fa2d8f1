"""Streamed answers: server-sent events, as OpenAI's clients read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
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


async def event_stream(
    request: Request,
    name: str,
    streams: Sequence[ReplyStream],
    metrics: Metrics,
    chunk: Chunk,
    delta: Callable[[int, Event], Json | None],
    opening: Json | None = None,
    usage: Callable[[], Json] | None = None,
) -> StreamingResponse:
    """The answer to a request with `stream`. It begins with the first event, so that a request that
    is refused gets a status of its own.

    Args:
        request: whose client may leave.
        name: of the model, for the metrics.
        streams: the replies; they are cancelled when the client leaves.
        metrics: that count.
        chunk: makes chunks.
        delta: what to tell of an event; None for nothing.
        opening: the delta with which each choice begins; None for none.
        usage: makes the last chunk, with the usage; None for none.

    Raises:
        Exception: what a reply ended in before its first event.
    """
    events = merged(name, streams, metrics)

    async def close() -> None:
        await events.aclose()
        for stream in streams:
            await stream.aclose()

    try:
        first = await while_connected(request, anext(events))
    except BaseException:
        await close()
        raise

    async def told(index: int, event: Event) -> AsyncIterator[bytes]:
        if isinstance(event, MediumReady):  # encoding one takes a while
            change = await asyncio.to_thread(delta, index, event)
        else:
            change = delta(index, event)
        if change is not None:
            yield sse(chunk(index, change, None))
        if isinstance(event, Done):
            yield sse(chunk(index, None, streams[index].finish_reason))

    async def body() -> AsyncIterator[bytes]:
        try:
            for index in range(len(streams) if opening is not None else 0):
                yield sse(chunk(index, opening, None))
            async for each in told(*first):
                yield each
            async for index, event in events:
                async for each in told(index, event):
                    yield each
            if usage is not None:
                yield sse(usage())
            yield _END
        except Exception as error:
            yield sse(api_error(error).body)
        finally:
            await close()

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)
