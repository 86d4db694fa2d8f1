"""Parts of a blob as a file, so that nothing is copied, for libraries that read files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anymodal.media.limits import DecodeBudget, MediaError

if TYPE_CHECKING:
    from typing_extensions import Buffer


def cut_short(name: str, what: str) -> MediaError:
    """The error of a file that ends before its own structure does; `what` it has, in words."""
    return MediaError(f"{name} is cut short: it has {what}; save or download it again")


def cut_bytes(name: str, there: int, size: int) -> MediaError:
    """The error of a file of which bytes are missing."""
    return cut_short(name, f"{there:,} of at least {size:,} bytes")


class Spans(io.RawIOBase):
    """Some bytes, one part behind the other, as a binary file that ends where its budget does.

    An exception must not pass through the C code that reads; whoever called that checks the
    budget afterwards.
    """

    def __init__(self, parts: Sequence[bytes | memoryview], budget: DecodeBudget) -> None:
        super().__init__()
        self._parts = [memoryview(part) for part in parts]
        self._size = sum(map(len, self._parts))
        self._budget, self._at = budget, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill a buffer as far as one part reaches; 0 at the end, and once the time is up."""
        if self._budget.is_spent:
            return 0
        at = self._at
        for part in self._parts:
            if at < len(part):
                view = memoryview(buffer)
                piece = part[at : at + len(view)]
                view[: len(piece)] = piece
                self._at += len(piece)
                return len(piece)
            at -= len(part)
        return 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, which may lie behind the end."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at
