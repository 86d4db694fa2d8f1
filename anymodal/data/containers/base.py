"""Rows of a data set by index, whatever file they lie in."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from anymodal.data.source import Source

_LOG = logging.getLogger("anymodal")
_MOST_NAMED = 20
Row = dict[str, Any]
"""A row's values by column, as JSON has them; media inside the container are bytes."""


class BrokenFile(NamedTuple):
    """A file, or a part of one, that stands aside because it can't be read.

    Args:
        name: of the file.
        reason: what is wrong with it, and the way out.
    """

    name: str
    reason: str


def warn_of_broken(broken: Sequence[BrokenFile], total: int, of: str = "files") -> None:
    """Tell what stands aside, by name and with a count; nothing where all is well."""
    for each in broken[:_MOST_NAMED]:
        _LOG.warning("%s stands aside: %s", each.name, each.reason)
    if broken:
        _LOG.warning("%d of %d %s stand aside", len(broken), total, of)


class RowSource(Source[Row]):
    """Rows of a container.

    Attributes:
        container: the kind of container, for reports.
        folder: where relative names of media start, or a folder around those where they do.
        broken: files that stand aside.
        labels: names of the classes that numbers in a column stand for, by column.
        media_columns: kinds of media by column, where the container tells them.
    """

    container: str
    folder: Path
    broken: tuple[BrokenFile, ...] = ()
    labels: Mapping[str, Sequence[str]] = MappingProxyType({})
    media_columns: Mapping[str, str] = MappingProxyType({})

    def __getitem__(self, index: int, /) -> Row:
        return self.read(range(len(self))[index])

    @abstractmethod
    def read(self, index: int) -> Row:
        """The row of an index from 0 on; see `Source.__getitem__` for what is raised."""

    @abstractmethod
    def place(self, index: int) -> str:
        """The file and line of a row, for errors."""

    def home(self, index: int) -> Path:
        """The folder where relative names of a row's media start."""
        return self.folder

    @abstractmethod
    def size(self, index: int) -> int:
        """Bytes of a row, or 0 where they aren't known without reading it."""

    def keep_texts(self, columns: Sequence[str]) -> None:
        """Read columns as the texts that stand in the file, though they look like lists or objects.

        Raises:
            ValueError: if there is no such column, or the container itself tells texts from lists.
        """
        raise ValueError(
            f"texts is for columns of CSV and TSV; {self.container} tells a text from a list itself"
        )

    @property
    @abstractmethod
    def files(self) -> list[str]:
        """The files that rows are read from."""


class ChainedRows(RowSource):
    """Rows of several containers, one after the other.

    Args:
        parts: the containers, of one kind.
        broken: files that stand aside, beside those of the parts.
    """

    def __init__(self, parts: Sequence[RowSource], broken: Sequence[BrokenFile] = ()) -> None:
        self.parts = list(parts)
        homes = {part.folder.absolute() for part in parts}
        self.folder = parts[0].folder if len(homes) == 1 else Path(os.path.commonpath(homes))
        self.container = parts[0].container
        self.broken = (*broken, *(each for part in parts for each in part.broken))
        self.labels, self.media_columns = parts[0].labels, parts[0].media_columns
        for part in parts:
            if part.labels != self.labels:
                raise ValueError(
                    f"{part.files[0]} numbers its classes in another way than {parts[0].files[0]}; "
                    "open them as two data sets of a mixture"
                )
        self._ends = list(accumulate(map(len, self.parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def _locate(self, index: int) -> tuple[RowSource, int]:
        number = bisect_right(self._ends, index)
        return self.parts[number], index - (self._ends[number - 1] if number else 0)

    def read(self, index: int) -> Row:
        part, inner = self._locate(index)
        return part.read(inner)

    def place(self, index: int) -> str:
        part, inner = self._locate(index)
        return part.place(inner)

    def home(self, index: int) -> Path:
        part, inner = self._locate(index)
        return part.home(inner)

    def size(self, index: int) -> int:
        part, inner = self._locate(index)
        return part.size(inner)

    def keep_texts(self, columns: Sequence[str]) -> None:
        for part in self.parts:
            part.keep_texts(columns)

    def stamp(self, index: int) -> Hashable:
        part, inner = self._locate(range(len(self))[index])
        return part.stamp(inner)

    @property
    def files(self) -> list[str]:
        return [name for part in self.parts for name in part.files]
