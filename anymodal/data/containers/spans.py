"""Rows that are ranges of bytes of one file, found by its index."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Hashable
from pathlib import Path

from anymodal.data.containers.base import BrokenFile, Row, RowSource
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.index import RowIndex
from anymodal.media.limits import mib

_LOG = logging.getLogger("anymodal")

MAX_ROW_BYTES = 1 << 28
"""Of one row of text."""


class SpanRows(RowSource):
    """Rows of one file that has an index.

    Args:
        file: with the rows.
        index: of it.
        source: the file that the user names, of which `file` may be a copy.
        folder: where relative names of media start.
    """

    max_row_bytes = MAX_ROW_BYTES

    def __init__(self, file: DataFile, index: RowIndex, source: DataFile, folder: Path) -> None:
        self.file, self.index, self.source, self.folder = file, index, source, folder
        if index.broken:
            self.broken = (BrokenFile(source.path, index.broken),)
            _LOG.warning("%s; the %d rows before it are used", index.broken, len(index))
        self._warned = False

    def __len__(self) -> int:
        return len(self.index)

    def read(self, index: int) -> Row:
        start, stop, _ = (int(value) for value in self.index.spans[index])
        if stop - start > self.max_row_bytes:
            raise ValueError(
                f"{self.place(index)} has {mib(stop - start)}, over the limit of "
                f"{mib(self.max_row_bytes)} for one row"
            )
        return self.parse(self.file.read(start, stop), index)

    @abstractmethod
    def parse(self, data: bytes, index: int) -> Row:
        """The row in its bytes."""

    def text(self, data: bytes, index: int) -> str:
        """A row's bytes as text; those that aren't UTF-8 become U+FFFD, with a warning."""
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            if not self._warned:
                self._warned = True
                line = int(self.index.spans[index][2]) + data.count(b"\n", 0, error.start)
                _LOG.warning(
                    "%s: byte 0x%02x in line %d is not UTF-8; such bytes are read as \ufffd (if "
                    "there are many, convert the file to UTF-8)",
                    self.source.path, data[error.start], line,
                )  # fmt: skip
            return data.decode("utf-8", "replace")

    def place(self, index: int) -> str:
        return f"{self.source.name}, line {self.index.spans[index][2]}"

    def size(self, index: int) -> int:
        start, stop, _ = self.index.spans[index]
        return int(stop - start)

    def stamp(self, index: int) -> Hashable:
        return *self.source.stamp, range(len(self))[index]

    @property
    def files(self) -> list[str]:
        return [self.source.path]
