"""Rows written to the containers that `containers.open_rows` reads."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from anymodal.config.printable import printable
from anymodal.data.containers import Row
from anymodal.data.containers.braces import expand_braces
from anymodal.data.containers.copies import plain_name
from anymodal.data.containers.folders import suffix_of
from anymodal.data.containers.tables import cell_value
from anymodal.io.checkpoint import replacing

ARROW_BATCH = 512
"""Rows of a batch in Arrow and Parquet, and those whose types the columns have."""


def json_text(value: object) -> str:
    """A row, or a value of one, as JSON.

    Raises:
        ValueError: if it holds bytes.
    """
    return json.dumps(value, ensure_ascii=False, default=_refuse_bytes)


def _refuse_bytes(value: object) -> object:
    raise ValueError(
        f"a row holds {printable(repr(value))}, which only Arrow and Parquet do; write one of "
        "those, or leave its column out (--ignore)"
    )


@contextmanager
def _text_file(path: Path, name: str) -> Iterator[IO[str]]:
    with replacing(path) as temporary:
        if plain_name(name) != name and not name.lower().endswith(".gz"):
            raise ValueError(f"{name}: of compressed files, .gz is written")
        is_packed = plain_name(name) != name
        open_text: Callable[..., IO[str]] = gzip.open if is_packed else open
        with open_text(temporary, "wt", encoding="utf-8", newline="") as file:
            yield file


def write_lines(path: Path, rows: Iterable[Row]) -> None:
    """Write JSON Lines."""
    with _text_file(path, path.name) as file:
        for row in rows:
            file.write(json_text(row) + "\n")


def write_list(path: Path, rows: Iterable[Row]) -> None:
    """Write a JSON list."""
    with _text_file(path, path.name) as file:
        file.write("[")
        for number, row in enumerate(rows):
            file.write(("," if number else "") + "\n" + json_text(row))
        file.write("\n]\n")


def write_table(path: Path, rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Write CSV, or TSV by its name; lists and objects as JSON."""
    tabs = suffix_of(path.name) != ".csv"
    with _text_file(path, path.name) as file:
        writer = csv.writer(file, delimiter="\t" if tabs else ",", lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(_cell(row.get(column), column) for column in columns)


def _cell(value: object, column: str) -> object:
    if isinstance(value, list | dict | bytes):
        return json_text(value)
    if value != value:  # NaN, which would be read as the word
        return ""
    if isinstance(value, str) and cell_value(value) != value:
        raise ValueError(
            f"{column} is the text {printable(value)}, which would be read as a list or an object; "
            "write JSON Lines instead"
        )
    return "" if value is None else value


def write_arrow(path: Path, rows: Iterable[Row]) -> None:
    """Write Arrow, or Parquet by its name; the first rows tell the columns' types.

    Raises:
        ValueError: if pyarrow isn't installed, or a row has other types than those before it.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ValueError("Arrow and Parquet need pip install 'anymodal[parquet]'") from error
    batches = _batches(rows)
    first = next(batches, [])
    columns = dict.fromkeys(key for row in first for key in row)
    types = {key: _column_type([row.get(key) for row in first], key) for key in columns}
    schema = pyarrow.schema(types)
    is_parquet = suffix_of(path.name) in (".parquet", ".pq")
    with replacing(path) as temporary:
        out: Any = (
            pyarrow.parquet.ParquetWriter(str(temporary), schema)
            if is_parquet
            else pyarrow.ipc.new_file(str(temporary), schema)
        )
        written = 0
        with out:
            for batch in chain([first], batches):
                _check_columns(batch, schema.names, written)
                try:
                    table = pyarrow.Table.from_pylist(batch, schema)
                    # A key of an object that the first rows lack would go without a word.
                    check_same(batch, table.to_pylist(), written, len(first))
                    out.write_table(table)
                except _unfit() as error:
                    raise ValueError(
                        f"of the rows from {written} on, one doesn't fit the types of the first "
                        f"{len(first)}: {error}; write JSON Lines instead"
                    ) from None
                written += len(batch)


def _unfit() -> tuple[type[Exception], ...]:
    """Errors of Arrow about a value of another type, or a number of more than 64 bits."""
    import pyarrow

    return pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError


def _column_type(values: Sequence[object], column: str) -> Any:
    """The Arrow type of a column, or an error with the first row that has another one."""
    import pyarrow

    try:
        return pyarrow.infer_type(values)
    except _unfit() as error:
        fits, breaks = 0, len(values)  # rows up to `fits` have one type, up to `breaks` not
        while breaks - fits > 1:
            middle = (fits + breaks) // 2
            try:
                pyarrow.infer_type(values[:middle])
                fits = middle
            except _unfit():
                breaks = middle
        raise ValueError(
            f"row {fits} has {printable(repr(values[fits]))} under {column!r}, of another type "
            f"than the rows before it, or too large ({error}); write JSON Lines instead"
        ) from None


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    waiting = iter(rows)
    while batch := list(islice(waiting, ARROW_BATCH)):
        yield batch


def check_same(rows: list[Row], written: list[Row], start: int, first: int) -> None:
    """Refuse rows of which something is lost.

    Raises:
        ValueError: with the row's number.
    """
    for number, (row, other) in enumerate(zip(rows, written, strict=True), start):
        if _without_none(row) != _without_none(other):
            raise ValueError(
                f"row {number} has keys or values that the columns' types, those of the first "
                f"{first} rows, don't hold; write JSON Lines instead"
            )


def _without_none(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if value != value:  # NaN, which differs from itself
        return "nan"
    return [_without_none(each) for each in value] if isinstance(value, list) else value


def _check_columns(batch: list[Row], names: Sequence[str], start: int) -> None:
    for number, row in enumerate(batch, start):
        if extra := row.keys() - set(names):
            raise ValueError(
                f"row {number} has the column {sorted(extra)[0]!r}, which the first rows lack; "
                "write JSON Lines instead"
            )


def write_shards(pattern: str, count: int, members: Iterable[Iterable[tuple[str, bytes]]]) -> None:
    """Write tar shards of about as many samples each.

    Args:
        pattern: the shards' names, as `s-{000..009}.tar`.
        count: samples in all.
        members: names and contents of each sample's members.
    """
    names = expand_braces(pattern)
    samples = iter(members)
    for number, name in enumerate(names):
        share = count * (number + 1) // len(names) - count * number // len(names)
        with replacing(Path(name)) as temporary, tarfile.open(temporary, "w") as archive:
            for sample in islice(samples, share):
                for member, data in sample:
                    info = tarfile.TarInfo(member)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))


WriteRows = Callable[[Path, Iterable[Row]], None]
WRITERS: Mapping[str, WriteRows] = {
    ".jsonl": write_lines,
    ".ndjson": write_lines,
    ".json": write_list,
    ".parquet": write_arrow,
    ".pq": write_arrow,
    ".arrow": write_arrow,
    ".feather": write_arrow,
}
"""By suffix; tables need the columns' names, and shards their number."""
