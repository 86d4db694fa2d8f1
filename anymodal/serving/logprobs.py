"""Log-probabilities of tokens on their way with the text."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from anymodal.types import TokenLogprob


class LogprobQueue:
    """Keeps the log-probabilities of text that is held back, as the beginning of a stop string."""

    def __init__(self) -> None:
        self._num_pushed = self._num_released = 0
        self._waiting: deque[tuple[int, TokenLogprob]] = deque()
        self._released: list[TokenLogprob] = []

    def push(self, num_characters: int, logprobs: Sequence[TokenLogprob]) -> None:
        """Add the tokens of a piece of text."""
        self._waiting.extend((self._num_pushed, each) for each in logprobs)
        self._num_pushed += num_characters

    def release(self, num_characters: int) -> None:
        """Let the tokens go whose text begins in the next characters."""
        self._num_released += num_characters
        while self._waiting and self._waiting[0][0] < self._num_released:
            self._released.append(self._waiting.popleft()[1])

    def pop(self) -> tuple[TokenLogprob, ...]:
        """The tokens that were let go since the last call."""
        logprobs, self._released = self._released, []
        return tuple(logprobs)
