"""CSV and TSV: a header with the columns' names, then a row a record."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import numpy as np

from anymodal.config import nearest
from anymodal.config.printable import printable
from anymodal.data.containers.base import Row
from anymodal.data.containers.copies import in_utf8, plain_name, unpacked
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.index import Spans, open_index
from anymodal.data.containers.spans import SpanRows

_BLOCK = 1 << 16
_SEPARATORS = ",;\t|"
_BLANK = " \r\n"
_BOM = b"\xef\xbb\xbf"
_MAX_CELL = 1 << 28
# A cell may hold a picture in base64, and Python's own limit of 131,072 is the process's.
csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL))
_TOLD = re.compile(r'"?sep=([,;|\t])"?\r?\n?')
_SINGLE = re.compile(r'(?<!")"(?:"")*(?!")')
"""A quote that isn't doubled."""


class Dialect(NamedTuple):
    """The signs between a table's values.

    Args:
        separator: between values.
        spaced: whether a space follows each separator and is no part of a value.
        is_told: whether the first line tells the separator (`sep=;`), as for Excel.
    """

    separator: str
    spaced: bool = False
    is_told: bool = False

    @classmethod
    def of(cls, first: str, tabs: bool) -> Self:
        """The dialect of a table's first line; `tabs` where its name says that it has them."""
        told = _TOLD.fullmatch(first)
        if told is not None:
            return cls(told[1], is_told=True)
        separator = "\t" if tabs else max(_SEPARATORS, key=first.count)
        gaps = first.count(separator)
        return cls(separator, 0 < gaps == first.count(f"{separator} "))

    def split(self, text: str) -> list[str]:
        """The values of a record, by RFC 4180.

        Raises:
            csv.Error: if its quotes are wrong.
        """
        return next(self.reader([text]), [])

    def reader(self, lines: Iterator[str] | list[str]) -> Iterator[list[str]]:
        """The records of lines, by RFC 4180."""
        return csv.reader(
            lines, delimiter=self.separator, skipinitialspace=self.spaced, strict=True
        )

    def split_plainly(self, line: str) -> list[str]:
        """The values of a line in which quotes hold no separator: they may be part of a value."""
        values = line.rstrip("\r\n").split(self.separator)
        return [_unquoted(value.removeprefix(" ") if self.spaced else value) for value in values]


class CsvRows(SpanRows):
    """Rows of a CSV or TSV file, which may be compressed.

    Quotes are as RFC 4180 has them, so that a value may hold line ends. Where all lines have as
    many tabs as the header, none does, and a quote may be part of a value, as in Common Voice's
    tables. Tabs separate the values of a `.tsv`; in others the sign that the header has most of
    `,`, `;`, tab and `|`, or that a line `sep=;` before it tells. All values are texts, but a value
    that is a list or an object, as JSON or Python writes it, is read as such, but for columns that
    are to stay texts (`keep_texts`). Blank lines are no rows.
    """

    container = "CSV"
    _texts: frozenset[str] = frozenset()

    header: list[str]
    dialect: Dialect

    @classmethod
    def open(cls, file: DataFile, folder: Path, index_dir: str | Path | None = None) -> Self:
        """The rows of a file, see `JsonLines.open`.

        Raises:
            ValueError: if it is no CSV, has no header, or names a column twice.
        """
        plain = in_utf8(unpacked(file, index_dir), index_dir)
        tabs = plain_name(file.name).lower().endswith((".tsv", ".tab"))
        with plain.open() as stream:
            dialect = Dialect.of(next(_Lines(stream), ""), tabs)
        with plain.open() as stream:
            header = next(_records(stream, dialect, file.path), (0, 0, 0, list[str]()))[3]
        _check_header(header, file.path)
        index = open_index(file, lambda: _scan(plain, dialect, file.path), index_dir)
        rows = cls(plain, index, file, folder)
        rows.header, rows.dialect = header, dialect
        return rows

    def parse(self, data: bytes, index: int) -> Row:
        text = self.text(data, index)
        values = list[str]()
        with suppress(csv.Error):
            values = self.dialect.split(text)
        if len(values) != len(self.header) and self._has_plain_lines:
            values = self.dialect.split_plainly(text)
        if len(values) != len(self.header):
            raise ValueError(
                f"{self.place(index)} has {len(values)} values for {len(self.header)} columns; "
                f"quote values that hold {self.dialect.separator!r} or line ends"
            )
        return {
            name: value if name in self._texts else cell_value(value)
            for name, value in zip(self.header, values, strict=True)
        }

    def keep_texts(self, columns: Sequence[str]) -> None:
        for column in columns:
            if column not in self.header:
                raise ValueError(
                    f"texts names the column {column!r}, which {self.source.path} doesn't have"
                    f"{nearest(column, self.header)}"
                )
        self._texts = frozenset(columns)

    @cached_property
    def _has_plain_lines(self) -> bool:
        """Looked at when a row needs it, which few files do."""
        return has_plain_lines(self.file, self.dialect)


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
    """The value of a cell: a list or an object where it is one in JSON, or as pandas and `datasets`
    write it, else its text.
    """
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return _python_value(text)
    return text


def _python_value(text: str) -> object:
    """A list or a dictionary as Python writes it, or the text itself."""
    if text[-1:] not in ("]", "}"):
        return text
    try:
        with warnings.catch_warnings(action="ignore"):  # of backslashes, to a text's author
            tree = ast.parse(text, mode="eval")
            value = ast.literal_eval(tree)
            # NumPy writes texts without commas, which Python reads as one.
            texts = sum(isinstance(n, ast.Constant) and isinstance(n.value, str | bytes)
                        for n in ast.walk(tree))  # fmt: skip
            tokens = tokenize.generate_tokens(io.StringIO(text).readline)
            is_whole = texts == sum(token.type == tokenize.STRING for token in tokens)
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError, tokenize.TokenError):
        return text
    return value if is_whole and isinstance(value, list | dict) and _is_plain(value) else text


def _is_plain(value: object) -> bool:
    """Return whether rows of tables hold such a value: no `...`, sets or complex numbers."""
    if isinstance(value, dict):
        return all(map(_is_plain, [*value, *value.values()]))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bytes | int | float)


def _unquoted(value: str) -> str:
    """A value without the quotes around it, where those within are doubled."""
    inside = value[1:-1]
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return inside.replace('""', '"') if is_quoted and _SINGLE.search(inside) is None else value


class _Lines:
    """A file's lines as text, with the number and place in bytes of the one handed out last."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.start, self.at, self.number = stream, 0, 0, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        data = self.stream.readline()
        if not data:
            raise StopIteration
        first = self.at == 0
        self.start = self.at
        self.at += len(data)
        self.number += 1
        return (data.removeprefix(_BOM) if first else data).decode("utf-8", "replace")


def _records(
    stream: BinaryIO, dialect: Dialect, path: str
) -> Iterator[tuple[int, int, int, list[str]]]:
    """First byte, the byte after the last, line and values of each record that isn't blank."""
    lines = _Lines(stream)
    if dialect.is_told:
        next(lines, "")
    # It asks for a line only while a record isn't whole, so that bytes count record by record.
    reader = dialect.reader(lines)
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


def _plain_records(stream: BinaryIO, dialect: Dialect) -> Iterator[tuple[int, int, int]]:
    """First byte, the byte after the last, and line of each line that isn't blank."""
    lines = _Lines(stream)
    for line in lines:
        if not (dialect.is_told and lines.number == 1) and line.strip(_BLANK):
            yield lines.start, lines.at, lines.number


def has_plain_lines(file: DataFile, dialect: Dialect) -> bool:
    """Return whether each line has as many tabs as the header, so that no quotes hold one.

    Of other separators that says nothing: texts have commas in each of their lines.
    """
    if dialect.separator != "\t":
        return False
    with file.open() as stream:
        lines = _Lines(stream)
        counts = (
            line.count(dialect.separator)
            for line in lines
            if line.strip(_BLANK) and not (dialect.is_told and lines.number == 1)
        )
        first = next(counts, 0)
        return first > 0 and all(count == first for count in counts)


def _scan(file: DataFile, dialect: Dialect, path: str) -> Iterator[Spans]:
    """The records of a file behind its header."""
    is_plain = has_plain_lines(file, dialect)
    with file.open() as stream:
        records = (
            _plain_records(stream, dialect)
            if is_plain
            else (record[:3] for record in _records(stream, dialect, path))
        )
        next(records, None)
        while block := list(islice(records, _BLOCK)):
            yield np.array(block, np.int64)
