"""Locks: what two threads must not do at once."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Self

TOKENIZERS = threading.Lock()
"""Held while a tokenizer reads a text.

How a fast tokenizer pads, cuts and splits special tokens are flags that a call sets on it, so that
two threads at once would spoil each other's, or end in "Already borrowed".
"""


class CopiedLock:
    """A lock that a thread may take again while it has it. A copy of it is a lock of its own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        """A new lock in a copy and in a pickle: locks themselves can't be in either."""
        return type(self), ()
