"""The index of a data file: where each of its rows lies."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymodal.data.containers.files import DataFile
from anymodal.data.containers.side_files import side_file

_LOG = logging.getLogger("anymodal")

Spans = NDArray[np.int64]
"""Shape (N, 3): first byte, the byte after the last, and line, of N rows."""
Scan = Callable[[], Iterator[Spans]]
"""Finds a file's rows, some at a time; `BrokenRows` ends them."""

_HEADER = 4096
_EMPTY = np.empty((0, 3), np.int64)


class BrokenRows(ValueError):
    """A file that can be read up to a place, and not from there on."""


@dataclass(frozen=True)
class RowIndex:
    """Places of rows in a file.

    Args:
        spans: of the rows.
        broken: why the file's end can't be read, or nothing.
    """

    spans: Spans
    broken: str = ""

    def __len__(self) -> int:
        return len(self.spans)


def open_index(file: DataFile, scan: Scan, index_dir: str | Path | None = None) -> RowIndex:
    """The index of a file, from beside it, where it is built once.

    It is mapped into memory, and rows that aren't asked for take none. Where it can't be written,
    it is built in memory each time.

    Args:
        file: the file that the user names.
        scan: finds its rows, in it or in a copy of it.
        index_dir: a folder for the index, instead of one beside the file.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it isn't what it should be.
    """
    for _ in range(2):
        try:
            path = side_file(file.stamp, ".index", lambda path: _write(path, scan()), index_dir)
        except _UnreadableError as error:
            raise error.error from None
        except OSError as error:
            _LOG.warning("%s: its index can't be kept (%s); each start builds it", file.name, error)
            return _in_memory(scan())
        if (index := _read(path)) is not None:
            return index
        path.unlink(missing_ok=True)  # damaged: build it anew
    raise OSError(f"the index {path} can't be read back; is its disk damaged?")


class _UnreadableError(Exception):
    """The data file couldn't be read, while an index was written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def _blocks(rows: Iterator[Spans], notes: list[str]) -> Iterator[Spans]:
    """The rows before a break, which is noted."""
    try:
        yield from rows
    except BrokenRows as error:
        notes.append(str(error))
    except OSError as error:
        raise _UnreadableError(error) from error


def _write(path: Path, rows: Iterator[Spans]) -> None:
    notes: list[str] = []
    count = checksum = 0
    with path.open("wb") as file:
        file.write(bytes(_HEADER))
        for block in _blocks(rows, notes):
            data = np.ascontiguousarray(block, np.int64).tobytes()
            checksum = zlib.crc32(data, checksum)
            count += len(block)
            file.write(data)
        head = {"rows": count, "checksum": checksum, "broken": "".join(notes)[:2000]}
        file.seek(0)
        file.write(json.dumps(head).encode())


def _read(path: Path) -> RowIndex | None:
    """An index, or None if it is damaged."""
    try:
        with path.open("rb") as file:
            head = json.loads(file.read(_HEADER).rstrip(b"\0"))
        rows, checksum, broken = head["rows"], head["checksum"], head["broken"]
        if path.stat().st_size != _HEADER + rows * 24:
            return None
        if not rows:
            return RowIndex(_EMPTY, broken)
        # As a plain array, of which elements are read several times as fast.
        spans = np.asarray(np.memmap(path, np.int64, "r", _HEADER, (rows, 3)))
    except (ValueError, KeyError, TypeError):
        return None
    return RowIndex(spans, broken) if zlib.crc32(spans.data) == checksum else None


def _in_memory(rows: Iterator[Spans]) -> RowIndex:
    notes: list[str] = []
    try:
        blocks = [np.asarray(block, np.int64) for block in _blocks(rows, notes)]
    except _UnreadableError as error:
        raise error.error from None
    return RowIndex(np.concatenate(blocks) if blocks else _EMPTY, "".join(notes))
