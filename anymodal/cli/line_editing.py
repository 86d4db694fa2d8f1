"""Editing of lines at a terminal: history over sessions, and completion of commands and paths."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HISTORY = "ANYMODAL_CHAT_HISTORY"
"""The environment's variable with the file of lines that were typed; empty for none."""
MAX_LINES = 1000


@contextlib.contextmanager
def line_editing(commands: Sequence[str]) -> Iterator[None]:
    """Let `input` edit lines, with history and completion, where there is a readline."""
    if not sys.stdin.isatty():
        yield
        return
    try:
        import readline
    except ImportError:  # as on Windows
        yield
        return
    file = history_file()
    readline.set_completer_delims(" \t\n")
    readline.set_completer(lambda text, state: _nth(completions(text, commands), state))
    # An editline that stands in for readline has a language of its own.
    is_editline = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_editline else "tab: complete")
    if file is not None:
        with contextlib.suppress(OSError):
            readline.read_history_file(file)
    try:
        yield
    finally:
        if file is not None:
            # A history that can't be kept is no reason to fail.
            with contextlib.suppress(OSError):
                _write_history(file)


def history_file() -> Path | None:
    """The file that holds what was typed, in the user's folder of states; None for none."""
    name = os.environ.get(HISTORY)
    if name is not None:
        return Path(name).expanduser() if name else None
    states = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(states).expanduser() / "anymodal" / "chat_history"


def _write_history(file: Path) -> None:
    import readline

    file.parent.mkdir(parents=True, exist_ok=True)
    # Others must not read what was said, not even while it is written.
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    file.chmod(0o600)
    readline.set_history_length(MAX_LINES)
    readline.write_history_file(file)


def completions(text: str, commands: Sequence[str]) -> list[str]:
    """Commands, each with a space, or paths that begin with a text; folders end in a slash."""
    slash = text.startswith("/")
    names = [f"{name} " for name in commands if name.startswith(text)] if slash else []
    if not text:
        return names
    expanded = os.path.expanduser(text)
    paths = sorted(glob.glob(f"{glob.escape(expanded)}*"))
    # As it was typed, with its ~.
    return names + [
        text + path[len(expanded) :] + ("/" if os.path.isdir(path) else "") for path in paths
    ]


def _nth(items: Sequence[str], index: int) -> str | None:
    return items[index] if index < len(items) else None
