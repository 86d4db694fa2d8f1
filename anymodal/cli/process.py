"""The process of a command: quick to start, and quick to end."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

_BUFFERS = (io.TextIOWrapper, io.BufferedRandom, io.BufferedWriter)
"""Files that hold back what was written to them; text flows into one of the others."""


@contextlib.contextmanager
def quick_start() -> Iterator[None]:
    """Collect no garbage while modules are imported and a model is opened.

    Both make over a million objects that stay, and each collection would go through all of them.
    They are frozen afterwards, so that later collections pass them by. Work that may make garbage
    for long, such as a training or a session, belongs behind the block.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()
            gc.enable()


def leave(status: int) -> NoReturn:
    """End the process: do all that Python does at its end, but take no object apart.

    Threads that aren't daemons are joined, functions of `atexit` run and files are flushed, as in
    `Py_FinalizeEx`. Only destructors are left out, which Python doesn't promise to run either:
    with torch and its like imported they take over a second.
    """
    if sys.gettrace() or sys.getprofile() or sys.flags.inspect:
        sys.exit(status)  # somebody wants to see what comes after us
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        _flush_files()
    except (OSError, ValueError):  # a closed pipe or a full disk: Python tells it as it always does
        sys.exit(status)
    os._exit(status)


def _flush_files() -> None:
    """Write what is buffered, of standard streams and of files that nobody has closed."""
    gc.unfreeze()  # `get_objects` leaves frozen objects out
    files = [each for each in gc.get_objects() if type(each) in _BUFFERS]
    files.sort(key=lambda file: _BUFFERS.index(type(file)))
    for file in files:
        if not file.closed and file.writable():
            file.flush()
