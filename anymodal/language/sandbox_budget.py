"""The budget of rendering a chat template: steps, letters, time and sizes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from jinja2.exceptions import SecurityError
from jinja2.utils import Namespace

MAX_TEMPLATE = 256 << 10
"""Letters of a template; the longest published have some 20,000."""
STEPS = 300_000
"""Turns of loops, calls and operations of one rendering: a long conversation takes thousands."""
SECONDS = 5.0
"""Of the thread's own computing, so that a busy machine makes no difference."""
LETTERS = 4_000_000
"""Of all texts that one rendering makes; contents aren't among them, marks stand in their place."""
ITEMS = 100_000
"""In a list, all that is inside of it counted."""
MAX_NUMBER = 10_000
"""The largest number that a template may hand to a filter or a method, as a width."""
MAX_BITS = 2000


class BudgetError(SecurityError):
    """A template that would take too long, or too much memory."""


class TemplateBudget(threading.local):
    """Steps, letters and time that are left of one rendering, for each thread."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.steps, self.letters = STEPS, LETTERS
        self.end = time.thread_time() + SECONDS

    def spend(self, steps: int = 1, letters: int = 0) -> None:
        self.steps -= steps
        self.letters -= letters
        if self.steps < 0:
            raise BudgetError(f"it takes more than {STEPS:,} steps")
        if self.letters < 0:
            raise BudgetError(f"it writes more than {LETTERS:,} letters")
        if time.thread_time() > self.end:
            raise BudgetError(f"it computes for more than {SECONDS:g} seconds")

    def size(self, value: object) -> int:
        """Letters that a value has or would be written in, up to the limits."""
        # A stack instead of recursion: a value nested without end must not overflow Python's own.
        letters = items = 0
        stack: list[object] = [value]
        while stack:
            inner = stack.pop()
            items += 1
            if isinstance(inner, str | bytes):
                letters += len(inner)
            elif isinstance(inner, bool | float | None):
                letters += 8
            elif isinstance(inner, int):
                letters += 1 + inner.bit_length() // 3
            elif isinstance(inner, Mapping):
                stack += islice(inner.keys(), ITEMS)
                stack += islice(inner.values(), ITEMS)
            elif isinstance(inner, list | tuple | set | frozenset):
                stack += islice(inner, ITEMS)
            elif isinstance(inner, Namespace):
                stack.append(getattr(inner, "_Namespace__attrs"))  # noqa: B009 (its own way)
            elif isinstance(inner, range):
                items += len(inner)
            if items > ITEMS or len(stack) > 2 * ITEMS:
                raise BudgetError(f"a list of it holds more than {ITEMS:,} values")
            if letters > LETTERS:
                raise BudgetError(f"a text of it is longer than {LETTERS:,} letters")
        self.steps -= items // 100
        return letters + items


def numbers_in(values: Iterable[object]) -> Iterator[int]:
    for value in values:
        if isinstance(value, int):
            yield abs(value)
        elif isinstance(value, list | tuple):
            yield from numbers_in(islice(value, ITEMS))
        elif isinstance(value, Mapping):
            yield from numbers_in(islice(value.values(), ITEMS))
