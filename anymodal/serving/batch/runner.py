"""Runs a batch through a server's application, in this process and without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message

from anymodal.serving.batch.request_file import BatchRequest
from anymodal.serving.batch.result_file import result_row

Json = dict[str, Any]
_BUSY, _NO_ROOM = 429, 503
MOST_ATTEMPTS = 4
"""Of a request for which there is no memory; one that meets a full queue waits for its place."""


async def run_batch(
    app: Any, requests: Iterable[BatchRequest], write: Callable[[Json], None], num_open: int
) -> None:
    """Ask all requests, so many at once, and write each result as it comes.

    Args:
        app: of `api.app.create_app`.
        requests: in order; they are read as there is room.
        write: takes a result.
        num_open: the most requests under way.
    """
    async with app.router.lifespan_context(app):
        await ask_all(app, requests, write, num_open)


async def ask_all(
    app: ASGIApp, requests: Iterable[BatchRequest], write: Callable[[Json], None], num_open: int
) -> None:
    """Ask requests as `run_batch` does, of an application that runs."""
    tasks: set[asyncio.Task[Json]] = set()
    try:
        for request in requests:
            if request.error is not None:
                write(result_row(request))
                continue
            if len(tasks) >= num_open:
                tasks = await _write_finished(tasks, write)
            tasks.add(asyncio.create_task(_answer(app, request)))
        while tasks:
            tasks = await _write_finished(tasks, write)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _write_finished(
    tasks: set[asyncio.Task[Json]], write: Callable[[Json], None]
) -> set[asyncio.Task[Json]]:
    """Wait for some tasks, and write their results; the tasks that are left."""
    finished, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in finished:
        write(task.result())
    return others


async def _answer(app: ASGIApp, request: BatchRequest) -> Json:
    """The result of a request. Where the server has no room, it is asked again later."""
    attempts = 0
    while True:
        status, headers, data = await _post(app, request.url, json.dumps(request.body).encode())
        attempts += status == _NO_ROOM
        if status != _BUSY and (status != _NO_ROOM or attempts >= MOST_ATTEMPTS):
            body = json.loads(data)
            identity = body.get("id") if isinstance(body, dict) else None
            return result_row(request, status, body, identity or request.id)
        await asyncio.sleep(float(headers.get("retry-after", "1")))


async def _post(app: ASGIApp, path: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
    """The answer of an application to one request: its status, headers and body."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "client": None, "server": None,
        "headers": [(b"content-type", b"application/json"),
                    (b"content-length", str(len(body)).encode())],
    }  # fmt: skip
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    start: Message = {}
    parts: list[bytes] = []

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()  # nobody leaves; who waits here is cancelled in the end
        raise AssertionError("an event that nobody sets")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(parts)
