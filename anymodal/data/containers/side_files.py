"""Files that are made of a data file once and stay: its index, or a copy with random access."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from anymodal.data.containers.files import DataFile
from anymodal.io.checkpoint import replacing, sweep

_LOG = logging.getLogger("anymodal")

SIDE_FOLDER = ".anymodal"
"""The folder beside a data file that holds what was made of it."""
_VERSION = 2
"""Raised when side files are made in another way."""


def side_file(
    stamp: tuple[str, int, str],
    suffix: str,
    write: Callable[[Path], None],
    index_dir: str | Path | None = None,
) -> Path:
    """The file that `write` makes of a data file, made once for each state of that file.

    It lies in `.anymodal/` beside the data file, or in the user's cache where nothing can be
    written there. Its name tells path, size and time of the data file, so that a stale one is never
    read; it appears whole or not at all, and one process makes it while others wait.

    Args:
        stamp: path, size and version of the data file, see `DataFile.stamp`.
        suffix: of the file to be made.
        write: writes it to a path.
        index_dir: the folder for it, instead.

    Raises:
        OSError: if it can't be written anywhere.
    """
    folder, prefix = make_home(stamp[0], index_dir)
    state = hashlib.sha256(json.dumps([_VERSION, *stamp]).encode()).hexdigest()[:16]
    path = folder / f"{prefix}.{state}{suffix}"
    if path.exists():
        return path
    # Of its own for each suffix: to make one file, another of the same data file may be needed.
    with _locked(folder / f"{prefix}{suffix}.lock"):
        if not path.exists():
            sweep(path)
            with replacing(path) as temporary:
                write(temporary)
            for old in folder.glob(f"{glob.escape(prefix)}.{'[0-9a-f]' * 16}{suffix}"):
                if old != path:
                    old.unlink(missing_ok=True)
    return path


def make_home(path: str, index_dir: str | Path | None = None) -> tuple[Path, str]:
    """The folder for what is made of a file, which is there from now on, and how names begin in it.

    Raises:
        OSError: if it can't be made.
    """
    folder, prefix = _home(path, index_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder, prefix


def _home(path: str, index_dir: str | Path | None) -> tuple[Path, str]:
    file = DataFile(path, 0, "")
    if index_dir is None and file.is_local:
        beside = Path(path).parent / SIDE_FOLDER
        if os.access(beside if beside.exists() else beside.parent, os.W_OK | os.X_OK):
            return beside, Path(path).name
    # Files of one name lie in many folders: there their paths tell them apart.
    name = f"{hashlib.sha256(path.encode()).hexdigest()[:16]}-{Path(file.name).name[:80]}"
    return Path(index_dir) if index_dir is not None else _user_cache(), name


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "anymodal" / "data"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; a process that dies lets go of it."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows: two processes then do the same work
        yield
        return
    with open(path, "w") as file:
        with contextlib.suppress(OSError):  # a disk without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_json_text(text: str, place: str) -> Any:
    """A JSON value.

    Raises:
        ValueError: if it is none, or an object has a key twice, with its place.
    """
    try:
        return _ROWS.decode(text)
    except RecursionError:
        raise ValueError(f"{place} is nested too deeply for JSON of entries") from None
    except _TwiceError as error:
        raise ValueError(f"{place} has the key {error} twice; leave one out") from None
    except ValueError as error:
        raise ValueError(f"{place} is no JSON: {error}") from None


class _TwiceError(ValueError):
    """A key that an object has twice, of which JSON readers drop one without a word."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(repr(next(name for name in names if names.count(name) > 1)))
    return result


_ROWS = json.JSONDecoder(object_pairs_hook=_object)  # made once, which takes as long as a row
