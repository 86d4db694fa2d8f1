"""Stamps of files: what changes whenever a file's content does, told without reading it."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anymodal.media.limits import Limits

MARGIN_NS = 3_000_000_000
"""A file changed later than this before it is looked at may change again and keep its times, which
some disks (FAT) count in steps of two seconds."""

_Times = tuple[int, int, int, int]


@dataclass
class MediaFile:
    """A file that a media item is decoded from when its content is first looked at.

    Attributes:
        source: its path, or its bytes where it is a part of another file.
        limits: what is too much of it.
        hints: what it leaves open, see the kind's class.
        stamp: equal for the same content read in the same way, see `stamp_of`.
        settled: whether the file is old enough for its stamp to be trusted: one that has just been
            written may be written again within the same tick of the disk's clock.
        digest: of the content, where it is known.
        recorded: whether the digest is kept by the stamp already.
        place: the file and line that name it, for errors.
        lock: held while it is decoded.
    """

    source: Path | bytes = field(repr=False)
    limits: Limits
    hints: Mapping[str, object]
    stamp: str
    settled: bool
    digest: str | None = None
    recorded: bool = False
    place: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state, lock=threading.RLock())


def stamp_of(files: Sequence[Path] | bytes, *reading: object) -> tuple[str, bool]:
    """The stamp of files, and whether it may be trusted.

    It has path, size, times and inode, or the SHA-256 of bytes. The time of the last change of
    status (ctime) is among them, since nobody can set it. As git does with racy entries, a file
    changed within `MARGIN_NS` of being looked at isn't trusted.

    Args:
        files: paths, also of files that may not be there; or the bytes of one.
        reading: what else decides the content that is read from them, by its `repr`.
    """
    if isinstance(files, bytes):
        return repr((hashlib.sha256(files).hexdigest(), *reading)), True
    times = [_times(path) for path in files]
    latest = max((max(each[1:3]) for each in times if each is not None), default=0)
    settled = latest + MARGIN_NS < time.time_ns()
    where = [os.path.abspath(path) for path in files]
    return repr((where, times, *reading)), settled


def _times(path: Path) -> _Times | None:
    """Size, time of content, time of status, and inode."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
