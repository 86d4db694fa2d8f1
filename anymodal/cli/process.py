"""The process of a command: quick to start, and quick to end."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import sys
from collections.abc import Iterator
from typing import IO, NoReturn

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
    # In the order of `Py_FinalizeEx`: threads may still register functions, and both may write.
    if "threading" in sys.modules:  # the help does without
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    try:
        _flush_files()
    except (OSError, ValueError):  # a closed pipe or a full disk: Python tells it as it always does
        sys.exit(status)
    os._exit(status)


def _flush_files() -> None:
    """Write what is buffered, of standard streams and of files that nobody has closed."""
    streams = sys.__stdout__, sys.__stderr__, sys.stdout, sys.stderr
    files: list[IO[str] | IO[bytes] | None] = [*streams]
    if _has_open_files():
        gc.unfreeze()  # `get_objects` leaves frozen objects out
        files += [each for each in gc.get_objects() if type(each) in _BUFFERS]
    # Text first, since it flows into buffers of bytes; what isn't Python's own before both.
    places: dict[type, int] = {kind: place for place, kind in enumerate(_BUFFERS)}
    for file in sorted(files, key=lambda file: places.get(type(file), -1)):
        if file is not None and not file.closed and file.writable():
            file.flush()


def _has_open_files() -> bool:
    """Return whether a file may be open for writing beside the standard streams.

    The system knows it at once, while a search among all objects takes a tenth of a second.
    """
    try:
        descriptors = {int(name) for name in os.listdir("/dev/fd")} - {0, 1, 2}
        import fcntl
    except (OSError, ImportError):  # as on Windows
        return True
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # the listing's own has gone
            if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
                return True
    return False
