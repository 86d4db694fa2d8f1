"""Files to embed: found in folders, told apart by size and times, read as media or texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from anymodal import media
from anymodal.media import Media

TEXT = "text"
"""The kind of what is read as text; no kind of media."""

MAX_TEXT_BYTES = 1 << 20
"""Of a text, of which encoders read the beginning."""


def find_files(paths: Iterable[str | Path], exclude: Iterable[Path] = ()) -> list[Path]:
    """The files named and those under the folders named, in order, each once.

    Hidden files (named with a dot) within a folder are left out, and so are paths in `exclude`.

    Raises:
        FileNotFoundError: if a path that is named isn't there.
    """
    excluded_paths = {path.absolute() for path in exclude}
    files: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files |= dict.fromkeys(
                p for p in _under(path, excluded_paths) if p.absolute() not in excluded_paths
            )
        elif path.exists():
            files[path] = None
        else:
            raise FileNotFoundError(2, "no such file or folder", str(path))
    return list(files)


def _under(folder: Path, excluded_paths: set[Path]) -> Iterator[Path]:
    for home, folders, names in os.walk(folder):
        at = Path(home)
        folders[:] = sorted(
            f for f in folders if f[0] != "." and (at / f).absolute() not in excluded_paths
        )
        yield from (at / name for name in sorted(names) if name[0] != ".")


def may_be_text(path: Path) -> bool:
    """Return whether a file that holds no medium is taken for a text."""
    return path.suffix.lower() == ".txt"


def read_file(path: Path, kind: str | None, limits: media.Limits | None) -> tuple[str, Media | str]:
    """A file's kind and content: what its bytes say, or a text where a .txt holds no medium.

    Raises:
        OSError, ValueError: if it can't be read.
    """
    if kind != TEXT:
        try:
            medium = media.load(path, kind=kind, limits=limits)
        except media.MediaError as error:
            # A medium that is too large stays one: what a file is taken for has to depend on its
            # content alone, since its embedding is kept.
            over = isinstance(error, media.LimitError)
            if kind is not None or over or not may_be_text(path):
                raise
        else:
            return medium.kind, medium
    return TEXT, _read_text(path)


def _read_text(path: Path) -> str:
    if (size := path.stat().st_size) > MAX_TEXT_BYTES:
        raise ValueError(f"it has {size} bytes, and a text may have {MAX_TEXT_BYTES}; cut it")
    try:
        text = path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8; convert it") from None
    if not text:
        raise ValueError("it is a text without a word; fill it or take it out")
    return text
