"""CSV and TSV: a header with the columns' names, then a row a record."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from anymodal.config.printable import printable
from anymodal.data.containers.base import Row
from anymodal.data.containers.copies import in_utf8, plain_name, unpacked
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.index import Spans, open_index
from anymodal.data.containers.spans import SpanRows

_BLOCK = 1 << 16
_SEPARATORS = ",;\t"
_BOM = b"\xef\xbb\xbf"
_MAX_CELL = 1 << 28
# A cell may hold a picture in base64, and Python's own limit of 131,072 is the process's.
csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL))


class CsvRows(SpanRows):
    """Rows of a CSV or TSV file, which may be compressed.

    Quotes are as RFC 4180 has them, so that a value may hold line ends. Tabs separate the values of
    a `.tsv`; in others the sign that the header has most of `,`, `;` and tab. All values are texts,
    but a value that is a JSON list or object is read as such. Blank lines are no rows.
    """

    container = "CSV"

    header: list[str]
    separator: str

    @classmethod
    def open(cls, file: DataFile, folder: Path, index_dir: str | Path | None = None) -> Self:
        """The rows of a file, see `JsonLines.open`.

        Raises:
            ValueError: if it is no CSV, has no header, or names a column twice.
        """
        plain = in_utf8(unpacked(file, index_dir), index_dir)
        tabs = plain_name(file.name).lower().endswith((".tsv", ".tab"))
        with plain.open() as stream:
            first = stream.readline().decode("utf-8", "replace")
        separator = "\t" if tabs else max(_SEPARATORS, key=first.count)
        with plain.open() as stream:
            records = _records(stream, separator, file.path)
            header = next(records, (0, 0, 0, list[str]()))[3]
        _check_header(header, file.path)
        index = open_index(file, lambda: _scan(plain, separator, file.path), index_dir)
        rows = cls(plain, index, file, folder)
        rows.header, rows.separator = header, separator
        return rows

    def parse(self, data: bytes, index: int) -> Row:
        place = self.place(index)
        text = self.text(data, index)
        values = next(csv.reader([text], delimiter=self.separator, strict=True))
        if len(values) != len(self.header):
            raise ValueError(
                f"{place} has {len(values)} values for {len(self.header)} columns; quote values "
                f"that hold {self.separator!r} or line ends"
            )
        return dict(zip(self.header, map(cell_value, values), strict=True))


def _check_header(header: list[str], path: str) -> None:
    if not any(header):
        raise ValueError(f"{path} has no header; begin it with a line of the columns' names")
    # Data frames are written with their index in front, under no name.
    if header[0] == "" and "index" not in header:
        header[0] = "index"
    for name in header:
        if header.count(name) > 1:
            raise ValueError(f"{path} has two columns {printable(name)!r}; rename one")


def cell_value(text: str) -> object:
    """The value of a cell: a list or an object where it is one in JSON, else its text."""
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


class _Lines:
    """A file's lines as text, and how many bytes and lines have been handed out."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.at, self.number = stream, 0, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        data = self.stream.readline()
        if not data:
            raise StopIteration
        first = self.at == 0
        self.at += len(data)
        self.number += 1
        return (data.removeprefix(_BOM) if first else data).decode("utf-8", "replace")


def _records(
    stream: BinaryIO, separator: str, path: str
) -> Iterator[tuple[int, int, int, list[str]]]:
    """First byte, the byte after the last, line and values of each record that isn't blank."""
    lines = _Lines(stream)
    # It asks for a line only while a record isn't whole, so that bytes count record by record.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        start, line = lines.at, lines.number + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{path} is no CSV from line {line} on: {error}; check its quotes, or write JSON "
                "Lines"
            ) from None
        if values:
            yield start, lines.at, line, values


def _scan(file: DataFile, separator: str, path: str) -> Iterator[Spans]:
    """The records of a file behind its header."""
    with file.open() as stream:
        records = (record[:3] for record in _records(stream, separator, path))
        next(records, None)
        while block := list(islice(records, _BLOCK)):
            yield np.array(block, np.int64)
