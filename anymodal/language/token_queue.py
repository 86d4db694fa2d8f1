"""Tokens, or their log-probabilities, on their way with the text."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class TokenQueue(Generic[T]):
    """Keeps what belongs to tokens whose text is held back, as the beginning of a stop string."""

    def __init__(self) -> None:
        self._num_pushed = self._num_released = 0
        self._waiting: deque[tuple[int, T]] = deque()
        self._released: list[T] = []

    def push(self, num_characters: int, items: Sequence[T]) -> None:
        """Add the tokens of a piece of text."""
        self._waiting.extend((self._num_pushed, each) for each in items)
        self._num_pushed += num_characters

    def release(self, num_characters: int) -> None:
        """Let the tokens go whose text begins in the next characters."""
        self._num_released += num_characters
        while self._waiting and self._waiting[0][0] < self._num_released:
            self._released.append(self._waiting.popleft()[1])

    def pop(self) -> tuple[T, ...]:
        """The tokens that were let go since the last call."""
        items, self._released = self._released, []
        return tuple(items)
