"""JSON Lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from anymodal.data.containers.base import Row
from anymodal.data.containers.copies import in_utf8, unpacked
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.index import Spans, open_index
from anymodal.data.containers.side_files import read_json_text
from anymodal.data.containers.spans import SpanRows

_PIECE = 1 << 22
_BOM = b"\xef\xbb\xbf"
_BRACE = ord("{")
_BLANK = b" \t\r\n"
_LONGEST_BLANK = 4096


class JsonLines(SpanRows):
    """Rows of a JSON Lines file, which may be compressed.

    Lines end with a line feed; blank ones are no rows. Opening finds the lines, and reading a row
    parses it.
    """

    container = "JSON Lines"

    @classmethod
    def open(cls, file: DataFile, folder: Path, index_dir: str | Path | None = None) -> Self:
        """The rows of a file.

        Args:
            file: the file.
            folder: where relative names of media start.
            index_dir: a folder for the index, instead of one beside the file.
        """
        plain = in_utf8(unpacked(file, index_dir), index_dir)
        index = open_index(file, lambda: scan_lines(plain), index_dir)
        return cls(plain, index, file, folder)

    def parse(self, data: bytes, index: int) -> Row:
        place = self.place(index)
        value = read_json_text(self.text(data, index), place)
        if not isinstance(value, dict):
            raise ValueError(f"{place} holds {short_json(value)}, not an object")
        return value


def scan_lines(file: DataFile) -> Iterator[Spans]:
    """The lines of a file that aren't blank."""
    base, number = 0, 1  # of the piece at hand, and of its first whole line
    rest, first = 0, -1  # where the line that it begins within starts, and that line's first byte
    with file.open() as stream:
        while piece := stream.read(_PIECE):
            if base == 0 and piece.startswith(_BOM):
                rest = len(_BOM)
            if first < 0 and rest - base < len(piece):
                first = piece[rest - base]
            data = np.frombuffer(piece, np.uint8)
            ends = np.flatnonzero(data == 10) + base
            if len(ends):
                starts = np.concatenate(([rest], ends[:-1] + 1))
                firsts = np.concatenate(([first], data[starts[1:] - base]))
                yield _without_blank(file, starts, ends, firsts, number)
                number += len(ends)
                rest = int(ends[-1]) + 1
                first = piece[rest - base] if rest - base < len(piece) else -1
            base += len(piece)
    if rest < base:
        start, end, sign = (np.array([value], np.int64) for value in (rest, base, first))
        yield _without_blank(file, start, end, sign, number)


def _without_blank(
    file: DataFile, starts: np.ndarray, ends: np.ndarray, firsts: np.ndarray, number: int
) -> Spans:
    """The spans of lines from a number on; what begins with a brace isn't blank."""
    used = firsts == _BRACE
    for place in np.flatnonzero(~used):
        start, end = int(starts[place]), int(ends[place])
        used[place] = end - start > _LONGEST_BLANK or bool(file.read(start, end).strip(_BLANK))
    numbers = np.arange(number, number + len(starts))
    spans: Spans = np.stack([starts, ends, numbers], 1)[used]
    return spans


def begins_over_lines(file: DataFile) -> bool:
    """Return True if a file begins with an object that goes over several lines."""
    head = file.read(0, min(file.size, _PIECE)).removeprefix(_BOM).strip()
    text = head.decode("utf-8", "replace")
    first, _, following = text.partition("\n")
    if first.strip() == "{" and following:  # however long it is
        return True
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "\n" in text[:end]


def looks_like_lines(file: DataFile) -> bool:
    """Return True if the first of several lines is an object, whatever the file's suffix."""
    head = file.read(0, min(file.size, _PIECE)).removeprefix(_BOM)
    first, _, following = head.strip().partition(b"\n")
    if not first.startswith(b"{") or not following.strip():
        return False
    try:
        # A lone "{" is a JSON object over several lines, and fails here.
        return isinstance(json.loads(first.decode("utf-8", "replace")), dict)
    except (ValueError, RecursionError):
        return False


def short_json(value: object) -> str:
    """A JSON value for an error: the keys of an object, the beginning of another one."""
    if isinstance(value, dict):
        return f"an object with {', '.join(list(value)[:5]) or 'nothing in it'}"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
