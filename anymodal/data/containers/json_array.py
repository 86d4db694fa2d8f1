"""JSON: a list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from anymodal.data.containers.base import Row
from anymodal.data.containers.copies import in_utf8, unpacked
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.index import Spans, open_index
from anymodal.data.containers.json_lines import short_json
from anymodal.data.containers.side_files import read_json_text
from anymodal.data.containers.spans import MAX_ROW_BYTES, SpanRows

_PIECE = 1 << 20
_BLOCK = 1 << 14
_BLANK = " \t\r\n"
_BOM = b"\xef\xbb\xbf".decode("latin-1")


class JsonArray(SpanRows):
    """Rows of a JSON file that holds a list of objects."""

    container = "JSON"

    @classmethod
    def open(cls, file: DataFile, folder: Path, index_dir: str | Path | None = None) -> Self:
        """The rows of a file, see `JsonLines.open`.

        Raises:
            ValueError: if it is no JSON, or holds something else than a list.
        """
        plain = in_utf8(unpacked(file, index_dir), index_dir)
        index = open_index(file, lambda: scan_array(plain, file.path), index_dir)
        return cls(plain, index, file, folder)

    def place(self, index: int) -> str:
        return f"{self.source.name}, entry {index}"

    def parse(self, data: bytes, index: int) -> Row:
        place = self.place(index)
        value = read_json_text(self.text(data, index), place)
        if not isinstance(value, dict):
            raise ValueError(f"{place} is {short_json(value)}, not an object")
        return value


def scan_array(file: DataFile, name: str) -> Iterator[Spans]:
    """The values of the list that a JSON file holds, read a piece at a time."""
    with file.open() as stream:
        window = _Window(stream, name)
        if window.start():
            block: list[tuple[int, int, int]] = []
            for span in window.values():
                block.append(span)
                if len(block) == _BLOCK:
                    yield np.array(block, np.int64)
                    block = []
            yield np.array(block, np.int64).reshape(-1, 3)
        window.end()


class _Window:
    """The part of a file that is being parsed.

    Bytes are read as Latin-1, so that places in the text are places in the file: JSON's own signs
    are ASCII, and what stands between quotes isn't looked at.

    Args:
        stream: the file.
        name: of it, for errors.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.text, self.at, self.base = "", 0, 0
        self._line, self._counted = 1, 0  # the line of a place in the text
        self.decoder = json.JSONDecoder()
        self._more()

    def _more(self) -> bool:
        """Read on, and drop what has been parsed; False at the file's end."""
        piece = self.stream.read(max(_PIECE, len(self.text) - self.at))
        self._line, self._counted = self.line, 0
        self.base += self.at
        self.text, self.at = self.text[self.at :] + piece.decode("latin-1"), 0
        return bool(piece)

    @property
    def line(self) -> int:
        """The line that it is at."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def _next(self) -> str:
        """The next sign that isn't blank, or nothing."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _BLANK:
                self.at += 1
            if self.at < len(self.text) or not self._more():
                return self.text[self.at : self.at + 1]

    def start(self) -> bool:
        """Go into the list; False if the file is empty."""
        if self.text.startswith(_BOM):
            self.at = len(_BOM)
        sign = self._next()
        if sign == "[":
            self.at += 1
        elif sign:
            value = self._value()[0]
            raise ValueError(
                f"{self.name} must hold a list of entries at the top, or an object on each line; "
                f"it holds {short_json(value)}"
            )
        return sign == "["

    def values(self) -> Iterator[tuple[int, int, int]]:
        """First byte, the byte after the last, and line of each value."""
        if self._next() == "]":
            self.at += 1
            return
        while True:
            self._next()
            _, start, line = self._value()
            yield start, self.base + self.at, line
            sign = self._next()
            self.at += 1
            if sign == "]":
                return
            if sign != ",":
                self.at -= 1
                raise self._error(f"expected , or ] and found {sign!r}" if sign else "it ends here")

    def end(self) -> None:
        """Expect nothing more."""
        if self._next():
            raise self._error("there is more behind the list")

    def _value(self) -> tuple[object, int, int]:
        """The value at hand, its first byte and line."""
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except RecursionError:
                raise ValueError(f"{self.name} is nested too deeply for JSON of entries") from None
            except ValueError as error:
                if len(self.text) - self.at > MAX_ROW_BYTES or not self._more():
                    raise self._error(getattr(error, "msg", str(error))) from None
                continue
            # A number may go on in the next piece.
            if end == len(self.text) and not isinstance(value, dict | list) and self._more():
                continue
            start, line = self.base + self.at, self.line
            self.at = end
            return value, start, line

    def _error(self, reason: str) -> ValueError:
        return ValueError(f"{self.name} is no JSON: {reason}, in line {self.line}")
