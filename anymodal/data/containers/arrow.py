"""Arrow and Parquet, with the features that Hugging Face's data sets note in their schema."""

from __future__ import annotations

import importlib
import json
import shutil
from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymodal.config.printable import printable
from anymodal.data.containers.base import Row, RowSource
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.side_files import side_file

if TYPE_CHECKING:
    import pyarrow

_BATCH_BYTES = 1 << 24
_MAX_BATCH_ROWS = 4096
_STREAM_START = b"\xff\xff\xff\xff"


class ArrowRows(RowSource):
    """Rows of an Arrow file, mapped into memory.

    Numbers of classes become their names where the schema tells them.

    Args:
        file: a `.arrow` or `.feather`, of which a copy is kept where it is at a URL; or a
            `.parquet`, of which an Arrow copy is kept: Parquet reads thousands of rows to give one.
        folder: where relative names of media start.
        index_dir: a folder for the copy, instead of one beside the file.

    Raises:
        ValueError: if pyarrow isn't installed, the file is none, or names a column twice.
    """

    container = "Arrow"

    def __init__(self, file: DataFile, folder: Path, index_dir: str | Path | None = None) -> None:
        arrow = _pyarrow(file)
        self.source, self.folder = file, folder
        is_parquet = file.path.lower().endswith((".parquet", ".pq"))
        if is_parquet:
            self.container = "Parquet"
        try:
            path = _arrow_copy(file, index_dir) if is_parquet else _local_copy(file, index_dir)
            self._batches = _batches(path)
        except (arrow.ArrowInvalid, arrow.ArrowNotImplementedError) as error:
            raise ValueError(f"{file.path} is no {self.container} file: {error}") from None
        names = self._batches[0].schema.names if self._batches else []
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{file.path} has two columns {printable(twice[0])!r}; rename one")
        self._ends = list(accumulate(len(batch) for batch in self._batches))
        features = _features(self._batches[0].schema) if self._batches else {}
        self.labels = class_names(features)
        self.media_columns = media_columns(features)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def read(self, index: int) -> Row:
        number = bisect_right(self._ends, index)
        first = self._ends[number - 1] if number else 0
        batch = self._batches[number].slice(index - first, 1)
        row = dict[str, Any]()
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                row[name] = _plain_value(column)
            except ValueError as error:  # such as parts of a microsecond in a list of times
                raise ValueError(f"{self.place(index)}: column {name!r}: {error}") from error
        return row

    def place(self, index: int) -> str:
        return f"{self.source.name}, row {index}"

    def size(self, index: int) -> int:
        return 0

    def stamp(self, index: int) -> Hashable:
        return *self.source.stamp, range(len(self))[index]

    @property
    def files(self) -> list[str]:
        return [self.source.path]


def _plain_value(column: pyarrow.Array) -> object:
    """The only value of a column as JSON has it; dates, times and decimals as texts."""
    import pyarrow

    kind = column.type
    if pyarrow.types.is_decimal(kind) or (
        pyarrow.types.is_temporal(kind) and not pyarrow.types.is_duration(kind)
    ):
        return column.cast(pyarrow.string())[0].as_py()  # which has nanoseconds too
    return _plain(column[0].as_py())


def _plain(value: object) -> object:
    """A value of Python's as JSON has it, where there is such a one."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):  # a map's pairs are tuples
        return [_plain(each) for each in value]
    is_plain = value is None or isinstance(value, str | int | float | bytes)
    return value if is_plain else str(value)


def _pyarrow(file: DataFile) -> Any:
    try:
        return importlib.import_module("pyarrow")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{file.path} is read with pyarrow; pip install 'anymodal[parquet]', or convert it to "
            "JSON Lines"
        ) from error


def _arrow_copy(file: DataFile, index_dir: str | Path | None) -> Path:
    import pyarrow.parquet

    def write(path: Path) -> None:
        with file.open() as stream, pyarrow.parquet.ParquetFile(stream) as table:
            metadata = table.metadata
            groups = (metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
            rows = max(1, metadata.num_rows)
            # So many rows at once that a batch with media inside stays small.
            size = _BATCH_BYTES * rows // max(1, sum(groups))
            count = min(_MAX_BATCH_ROWS, max(1, size))
            with pyarrow.ipc.new_file(str(path), table.schema_arrow) as out:
                for batch in table.iter_batches(count):
                    out.write_batch(batch)

    return side_file(file.stamp, ".arrow", write, index_dir)


def _local_copy(file: DataFile, index_dir: str | Path | None) -> Path:
    """A copy of a file at a URL, which can't be mapped into memory; else the file itself."""
    if file.is_local:
        return Path(file.path)

    def write(path: Path) -> None:
        with file.open() as stream, path.open("wb") as out:
            shutil.copyfileobj(stream, out)

    return side_file(file.stamp, ".arrow", write, index_dir)


def _batches(path: Path) -> list[pyarrow.RecordBatch]:
    """The batches of a file in either of Arrow's two formats; none of them is read yet."""
    import pyarrow

    memory = pyarrow.memory_map(str(path))
    is_stream = memory.read(4) == _STREAM_START  # as `datasets` saves them
    memory.seek(0)
    reader = pyarrow.ipc.open_stream(memory) if is_stream else pyarrow.ipc.open_file(memory)
    return [batch for batch in reader.read_all().to_batches() if len(batch)]


def _features(schema: pyarrow.Schema) -> Mapping[str, Any]:
    """The features that Hugging Face's `datasets` notes in a schema, by column."""
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = info["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, Mapping) else {}


def class_names(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of classes by column."""
    return {
        column: [str(name) for name in feature["names"]]
        for column, feature in features.items()
        if isinstance(feature, Mapping)
        and feature.get("_type") == "ClassLabel"
        and isinstance(feature.get("names"), list)
    }


def media_columns(features: Mapping[str, Any]) -> dict[str, str]:
    """The kinds of media by column, as features of the same name in capitals say them."""
    return {column: kind for column, feature in features.items() for kind in _kinds(feature)}


def _kinds(feature: object) -> Iterator[str]:
    if isinstance(feature, Mapping):
        name = feature.get("_type")
        if isinstance(name, str) and name not in ("Value", "ClassLabel"):
            yield name.lower()
