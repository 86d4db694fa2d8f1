"""Calls of replicas: their items as they come, ended when nobody waits for them any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, TypeVar

from anymodal.chat.orders import Order
from anymodal.serving.requests import ReplyRequest
from anymodal.types import Event

T = TypeVar("T")
POLL_SECONDS = 0.25
MOST_ATTEMPTS = 5
"""How often a request is begun: what ends replicas again and again must not go on doing so."""

LanguageCall = Callable[[ReplyRequest, str], AsyncGenerator[Sequence[Event | Exception]]]
"""Asks a language-model replica for a reply; the key is equal where conversations begin alike."""
DecoderCall = Callable[[Order, Mapping[str, Any]], AsyncGenerator[Event | Exception]]
"""Asks a decoder replica for a medium, by its order and settings of `Decoder.sample`."""


class ReplicaLostError(RuntimeError):
    """A replica ended, or can't be reached, before it had answered."""


async def read_while(items: AsyncGenerator[T], is_wanted: Callable[[], bool]) -> AsyncGenerator[T]:
    """Items as they come, for as long as they are wanted; in the end they are closed."""
    end = object()
    try:
        while True:
            following: asyncio.Future[Any] = asyncio.ensure_future(anext(items, end))
            try:
                while not following.done():
                    await asyncio.wait({following}, timeout=POLL_SECONDS)
                    if not is_wanted():
                        return
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
            if (item := following.result()) is end:
                return
            yield item
    finally:
        await items.aclose()


async def wait_before(attempt: int) -> None:
    """Wait before another attempt, longer each time: 0 s, 0.2 s, 0.4 s, …"""
    if attempt:
        await asyncio.sleep(0.1 * 2**attempt)
