"""Append-only files of tensors: `SCHEMA-NAME.data` has rows, `SCHEMA-NAME.index` their records.

Rows of a segment have one size: the bytes of a value's tensors, whose types and shapes are its
schema (`float32.17x192+bool.17`). A record is 16 bytes of the key's SHA-256 and a CRC-32 of key and
row.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Value = tuple[Tensor, ...]

Row = NDArray[np.uint8]

Records = NDArray[np.void]
"""A structured array of `RECORD`, or of a type that has its fields."""

SEGMENT_BYTES = 4 << 30
"""Bytes after which a segment is closed."""

MERGED = "m"
"""First letter of a merged segment's own name, where others have a hexadecimal digit."""

RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("check", "<u4")])


def size_of(value: Value) -> int:
    """Bytes of a value."""
    return sum(tensor.nbytes for tensor in value)


def tensor_bytes(tensor: Tensor) -> bytes:
    """A tensor's content; every type keeps its bits."""
    # As uint8, since NumPy has no bfloat16.
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def file_length(path: Path) -> int:
    """Bytes of a file, 0 where another process has deleted it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def folder_time(folder: Path) -> int | None:
    """When a folder changed, in nanoseconds; None where there is none."""
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def set_folder_time(folder: Path) -> int | None:
    """Set a folder's time to now, which tells who looks that a file in it has grown."""
    now = time.time_ns()
    try:
        os.utime(folder, ns=(now, now))  # finer than the clock of a file system
    except PermissionError:  # somebody else's folder, whose time may only be set to the clock's
        with contextlib.suppress(OSError):
            os.utime(folder)
    except FileNotFoundError:
        return None
    return folder_time(folder)


class RecordSchema:
    """Types and shapes of a value's tensors, as the name of a segment has them.

    Raises:
        ValueError: if the name is no schema's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.tensors: list[tuple[torch.dtype, tuple[int, ...], int]] = []
        self.size = 0
        for part in name.split("+"):
            kind, _, shape = part.partition(".")
            sizes = tuple(int(size) for size in shape.split("x")) if shape else ()
            dtype = getattr(torch, kind, None)
            if not isinstance(dtype, torch.dtype):
                raise ValueError(f"{name!r} is no schema of tensors, such as float32.17x192")
            self.tensors.append((dtype, sizes, prod(sizes) * dtype.itemsize))
            self.size += prod(sizes) * dtype.itemsize

    @staticmethod
    def name_of(value: Value) -> str:
        """The name of a value's schema."""
        return "+".join(f"{str(t.dtype)[6:]}.{'x'.join(map(str, t.shape))}" for t in value)

    def read(self, row: Row) -> Value:
        """The tensors of a row, which share its memory."""
        value, start = [], 0
        for dtype, shape, size in self.tensors:
            flat = torch.empty(0, dtype=dtype)
            if size:
                # torch reads a type only where its alignment lets it begin; elsewhere from a copy.
                unaligned = start % dtype.itemsize
                source, at = (row[start : start + size], 0) if unaligned else (row, start)
                count = size // dtype.itemsize
                flat = torch.frombuffer(source, dtype=dtype, count=count, offset=at)
            value.append(flat.reshape(shape))
            start += size
        return tuple(value)


class StoreSegment:
    """One file of rows and one of records, as far as they are written."""

    def __init__(self, stem: Path) -> None:
        schema, _, own = stem.name.rpartition("-")
        self.schema = RecordSchema(schema)
        self.data, self.index = Path(f"{stem}.data"), Path(f"{stem}.index")
        self.name, self.merged = stem.name, own.startswith(MERGED)
        self.complete = False  # nothing will be added to it, and all of it was read
        self.read_rows = 0
        self.memmap: np.memmap[tuple[int], np.dtype[np.uint8]] | None = None

    def new_records(self) -> Records:
        """Records that were written since the last call; a torn one waits until it is whole."""
        count = file_length(self.index) // RECORD.itemsize - self.read_rows
        if count <= 0:
            return np.empty(0, RECORD)
        start = self.read_rows * RECORD.itemsize
        records = np.fromfile(self.index, RECORD, count, offset=start)
        self.read_rows += len(records)
        return records

    def row(self, number: int) -> Row | None:
        """The bytes of a row, None where the file ends before it."""
        start, end = number * self.schema.size, (number + 1) * self.schema.size
        if start == end:
            return np.empty(0, np.uint8)
        if self.memmap is None or len(self.memmap) < end:
            if file_length(self.data) < end:
                return None
            try:
                self.memmap = np.memmap(self.data, np.uint8, "r")
            except FileNotFoundError:  # merged into another in between
                return None
        # A copy: a view would keep its map open, and with it a file descriptor.
        return np.array(self.memmap[start:end])


class SegmentWriter:
    """Appends to a segment of its own."""

    def __init__(self, folder: Path, schema: str) -> None:
        self.name = f"{schema}-{uuid4().hex}"
        stem = folder / self.name
        self.process, self.size = os.getpid(), 0
        # Without Python's buffers, of which a forked process would write a second copy.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self.data = os.open(f"{stem}.data", flags, 0o666)
        self.index = os.open(f"{stem}.index", flags, 0o666)
        self.links = os.fstat(self.index).st_nlink

    def is_usable(self) -> bool:
        """Return whether this process may append: a fork has its parent's file, which the parent
        goes on writing, and a file that was merged into another has no name any more.
        """
        try:
            return self.process == os.getpid() and os.fstat(self.index).st_nlink >= self.links
        except OSError:  # a shared disk's way to say so
            return False

    def append(self, values: Mapping[bytes, Value]) -> None:
        """Append values of its schema by the digests of their keys.

        Raises:
            OSError: if the disk is full; what is there stays whole.
        """
        rows = [b"".join(map(tensor_bytes, value)) for value in values.values()]
        checks = [zlib.crc32(row, zlib.crc32(k)) for k, row in zip(values, rows, strict=True)]
        try:
            _write(self.data, b"".join(rows))
            self.size += sum(map(len, rows))
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.data, self.size)  # gives a full disk its bytes back
            raise
        # After the rows: what ends the process in between leaves rows without records.
        records = [k + c.to_bytes(4, "little") for k, c in zip(values, checks, strict=True)]
        _write(self.index, b"".join(records))

    def close(self) -> None:
        """Close both files."""
        for file in (self.data, self.index):
            with contextlib.suppress(OSError):  # of a file that a shared disk has no more
                os.close(file)


def _write(file: int, data: bytes) -> None:
    """Write all of it; a nearly full disk takes a part and refuses the rest."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
