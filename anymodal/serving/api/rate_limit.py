"""A limit on how often each client may ask."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CLIENTS = 10_000
"""Of which the limiter knows at once; it forgets those that asked least recently."""


class RateLimiter:
    """A token bucket for each client: so many requests at once, and so many a minute.

    Source: Turner 1986, "New directions in communications" (the leaky bucket as a meter).

    Args:
        per_minute: how many requests; None for no limit.
        clock: gives seconds.
    """

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def take(self, client: str) -> int:
        """Count a request; 0 if it may pass, else the seconds until one may."""
        if self.per_minute is None:
            return 0
        now, most = self.clock(), float(self.per_minute)
        tokens, before = self._buckets.pop(client, (most, now))
        tokens = min(most, tokens + (now - before) * most / 60)
        wait = 0 if tokens >= 1 else max(1, math.ceil((1 - tokens) * 60 / most))
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait
