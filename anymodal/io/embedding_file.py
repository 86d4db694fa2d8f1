"""Files of embeddings and of what they are of: NPY with a JSON beside it, Parquet."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anymodal.io.checkpoint import CheckpointError, replacing

SUFFIXES = (".npy", ".parquet")
_ROWS = 8192  # written together
_KEY = b"anymodal"


class FileEntry(NamedTuple):
    """A file that has been embedded: its path, kind of media, size in bytes, and time in ns.

    The time is that of the last change of content or status (ctime), which nobody can set, so that
    size and time tell whether it is still the file that it was.
    """

    path: str
    kind: str
    size: int
    changed: int


def entry_of(path: Path, kind: str = "") -> FileEntry:
    """A file's entry as it is now.

    Raises:
        OSError: if it isn't there.
    """
    status = path.stat()
    return FileEntry(str(path), kind, status.st_size, max(status.st_mtime_ns, status.st_ctime_ns))


Rows = Callable[[Sequence[FileEntry]], NDArray[np.float32]]
"""Gives the embeddings (B, E) of some entries, in their order."""


class EmbeddingFile(NamedTuple):
    """Embeddings read from a file.

    Shapes: embeds (B, E), float32, one row for each of the B entries.
    """

    embeds: NDArray[np.float32]
    entries: list[FileEntry]
    encoders: Mapping[str, object]


def check_output(out: Path) -> None:
    """Refuse what can't be written, before any work is done.

    Raises:
        ValueError: if the suffix is unknown, or pyarrow is missing for Parquet.
    """
    if out.suffix not in SUFFIXES:
        raise ValueError(f"{out} ends in {out.suffix!r}; use one of {', '.join(SUFFIXES)}")
    if out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ValueError(
            'Parquet needs pyarrow; run: pip install "anymodal[parquet]", or write to a .npy file'
        )


def entries_file(out: Path) -> Path:
    """The file of an NPY file's entries."""
    return out.with_name(f"{out.name}.json")


def write(
    out: Path,
    entries: Sequence[FileEntry],
    rows: Rows,
    width: int,
    encoders: Mapping[str, object],
) -> None:
    """Write the embeddings of entries, in their order.

    Args:
        out: an NPY, beside which a JSON of the entries is written, or a Parquet file.
        entries: of the files.
        rows: gives their embeddings, of some thousand at a time.
        width: of an embedding.
        encoders: settings of each kind's encoder, as JSON values.
    """
    if out.suffix == ".parquet":
        with replacing(out) as temporary:
            _write_parquet(temporary, entries, rows, width, encoders)
        return
    # Mapped: the rows of a million files are larger than memory.
    with replacing(out) as temporary:
        shape = len(entries), width
        matrix = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, len(entries), _ROWS):
            chunk = entries[start : start + _ROWS]
            matrix[start : start + len(chunk)] = rows(chunk)
        matrix.flush()
    about = {"encoders": encoders, "entries": [entry._asdict() for entry in entries]}
    with replacing(entries_file(out)) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", "utf-8")


def _write_parquet(
    path: Path,
    entries: Sequence[FileEntry],
    rows: Rows,
    width: int,
    encoders: Mapping[str, object],
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [
            ("path", pa.string()),
            ("kind", pa.dictionary(pa.int8(), pa.string())),
            ("size", pa.int64()),
            ("changed", pa.int64()),
            ("embedding", pa.list_(pa.float32(), width)),
        ],
        metadata={_KEY: json.dumps({"encoders": encoders})},
    )
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, len(entries), _ROWS):
            chunk = entries[start : start + _ROWS]
            values = pa.array(rows(chunk).reshape(-1))
            lists = pa.FixedSizeListArray.from_arrays(values, width)
            arrays = [*map(pa.array, zip(*chunk, strict=True)), lists]
            arrays[1] = arrays[1].dictionary_encode().cast(schema.field("kind").type)
            writer.write_table(pa.table(arrays, schema=schema))


def read(out: Path) -> EmbeddingFile:
    """Read a file of embeddings that `anymodal embed` wrote.

    Raises:
        CheckpointError: if it, or the entries beside it, are missing or damaged.
    """
    check_output(out)
    try:
        return _read_parquet(out) if out.suffix == ".parquet" else _read_npy(out)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{out} and what lies beside it are no embeddings that can be read; delete them, or "
            "give the right file"
        ) from error


def _read_npy(out: Path) -> EmbeddingFile:
    about = json.loads(entries_file(out).read_text("utf-8"))
    embeds = np.load(out, mmap_mode="r", allow_pickle=False)
    entries = [FileEntry(**entry) for entry in about["entries"]]
    # As after a kill between the writing of the two files.
    if len(embeds) != len(entries):
        raise ValueError(f"{len(embeds)} rows, {len(entries)} entries")
    return EmbeddingFile(embeds, entries, about["encoders"])


def _read_parquet(out: Path) -> EmbeddingFile:
    from pyarrow import parquet

    table = parquet.read_table(out)
    about = json.loads(table.schema.metadata[_KEY])
    columns = [table[name].to_pylist() for name in FileEntry._fields]
    entries = [FileEntry(*fields) for fields in zip(*columns, strict=True)]
    values = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return EmbeddingFile(values.reshape(len(entries), -1), entries, about["encoders"])
