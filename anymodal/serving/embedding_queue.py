"""Embeddings for requests: a few items at a time, in a thread of the model's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from torch import Tensor

from anymodal.media import Media
from anymodal.serving.admission import EngineSettings
from anymodal.serving.errors import DeadlineError, EngineClosedError, QueueFullError

ITEMS_AT_ONCE = 64
"""After which other requests have their turn, and one that nobody waits for ends."""
_RETRY_AFTER = 1


class EmbeddingQueue:
    """Embeds for many requests at once, within an engine's limits of number and time.

    Args:
        embed: embeds a few items.
        settings: limits.
        num_threads: how many calls of `embed` there may be at once.

    Attributes:
        requests: number of requests under way.
    """

    def __init__(
        self,
        embed: Callable[[Sequence[str | Media]], list[Tensor]],
        settings: EngineSettings,
        num_threads: int = 1,
    ) -> None:
        self.settings, self.requests = settings, 0
        self._embed, self._is_closed = embed, False
        # Not the loop's own threads, which all endpoints share.
        self._threads = ThreadPoolExecutor(num_threads, "embed")

    async def embed(self, items: Sequence[str | Media]) -> list[Tensor]:
        """One embedding (E,) an item, on the CPU. It ends between two calls when it is cancelled.

        Raises:
            DeadlineError: if it takes too long.
            EngineClosedError: if the queue was closed.
            OutOfMemoryError: if there is no memory, even for one item alone.
            QueueFullError: if too many requests are under way.
            ValueError: if no encoder reads an item.
        """
        limit, seconds = self.settings.max_requests, self.settings.timeout
        if self.requests >= limit:
            raise QueueFullError(limit, _RETRY_AFTER)
        self.requests += 1
        try:
            async with asyncio.timeout(seconds) as scope:
                return await self._embed_in_parts(items)
        except TimeoutError:
            if scope.expired():
                raise DeadlineError(seconds) from None
            raise
        finally:
            self.requests -= 1

    async def _embed_in_parts(self, items: Sequence[str | Media]) -> list[Tensor]:
        rows: list[Tensor] = []
        loop = asyncio.get_running_loop()
        for start in range(0, len(items), ITEMS_AT_ONCE):
            if self._is_closed:
                raise EngineClosedError
            part = items[start : start + ITEMS_AT_ONCE]
            rows += await loop.run_in_executor(self._threads, self._embed, part)
        return rows

    def close(self) -> None:
        """Take no more items."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
