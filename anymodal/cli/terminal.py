"""Replies on a terminal: text as it comes, progress of media, what was saved."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:  # with torch, which the command line's help does without
    from rich.progress import Progress, TaskID

    from anymodal.types import Event, MediumProgress, MediumReady, ToolCalled, ToolFinished

_LONGEST_RESULT = 300
WHITESPACE = "\n\t"
"""Kept in a message's text; in a name or an error it could fake a line."""


def show_reply(events: Iterable[Event]) -> None:
    """Print a reply as its events come; media stand in the text as their number in brackets.

    Calls of tools and their results stand on lines of their own. Bars show the media's progress, on
    standard error and only if that is a terminal.
    """
    from anymodal.config.printable import printable
    from anymodal.types import (
        MediumProgress,
        MediumReady,
        MediumStarted,
        TextDelta,
        ToolCalled,
        ToolFinished,
    )

    open_line = False
    with _Bars() as bars:
        for event in events:
            if isinstance(event, TextDelta):
                print(printable(event.text, None, WHITESPACE), end="", flush=True)
                open_line = True
            elif isinstance(event, MediumStarted):
                print(f"[{event.index + 1}: {event.modality}]", end="", flush=True)
                open_line = True
            elif isinstance(event, ToolCalled | ToolFinished):
                print("\n" * open_line + tool_line(event), flush=True)
                open_line = False
            elif isinstance(event, MediumProgress | MediumReady):
                # A bar needs a line of its own. A server's text may go on behind it.
                if open_line and bars.are_shown:
                    print(flush=True)
                    open_line = False
                bars.update(event)
    if open_line:
        print(flush=True)


def tool_line(event: ToolCalled | ToolFinished) -> str:
    """A call, or its result, in one safe line."""
    from anymodal.config.printable import printable
    from anymodal.types import ToolCalled

    if isinstance(event, ToolCalled):
        return printable(f"  {event.call.name} {event.call.arguments}", _LONGEST_RESULT)
    parts = (part if isinstance(part, str) else f"[{part.kind}]" for part in event.content)
    return printable(f"  → {' '.join(parts)}", _LONGEST_RESULT)


def show_progress(events: Iterable[Event]) -> None:
    """Show the progress of a reply's media alone, as `show_reply` does."""
    from anymodal.types import MediumProgress, MediumReady

    with _Bars() as bars:
        for event in events:
            if isinstance(event, MediumProgress | MediumReady):
                bars.update(event)


@contextlib.contextmanager
def log_to_terminal() -> Iterator[None]:
    """Show what the package logs on standard error, a safe line each, while the block runs."""
    logger, handler = logging.getLogger("anymodal"), logging.StreamHandler()
    handler.setFormatter(_SafeFormatter())
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a library that sets up the root logger would print each line again
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _SafeFormatter(logging.Formatter):
    """The message alone, on one line: names and licences of strangers stand in it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        from anymodal.config.printable import printable

        return printable(record.getMessage(), None)


class _Bars:
    """Progress bars, one for each medium in the making."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.tasks: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.progress is not None:
            self.progress.stop()

    @property
    def are_shown(self) -> bool:
        """Whether there is a terminal: in a file or a pipe, bars would be noise."""
        return sys.stderr.isatty()

    def update(self, event: MediumProgress | MediumReady) -> None:
        if not self.are_shown:
            return
        if self.progress is None:
            from rich.console import Console
            from rich.progress import Progress

            self.progress = Progress(console=Console(stderr=True), transient=True)
            self.progress.start()
        if event.index not in self.tasks:
            # In rich, square brackets are markup.
            label = f"  [{event.index + 1}: {event.modality}]"
            self.tasks[event.index] = self.progress.add_task(label.replace("[", r"\["), total=None)
        from anymodal.types import MediumProgress

        if isinstance(event, MediumProgress):
            task = self.tasks[event.index]
            self.progress.update(task, completed=event.step, total=event.steps)
