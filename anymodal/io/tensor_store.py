"""Tensors in a folder, by part and key: append-only shards that many processes write at once.

A part is a folder. `LAYOUT-NAME.data` holds rows of one size, the bytes of a value's tensors, whose
types and shapes are the layout (`float32.17x192+bool.17`); `LAYOUT-NAME.index` holds a record for
each row, in order: 16 bytes of the key's SHA-256 and a CRC-32 of key and row. A shard is written by
one process, rows before their records, so that whatever ends it early leaves a tail that is
ignored; a row that doesn't fit its record counts as missing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import threading
import warnings
import zlib
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

Value = tuple[Tensor, ...]

RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("check", "<u4")])
PLACED = np.dtype([*RECORD.descr, ("shard", "<u4"), ("row", "<u4")])
SHARD = 4 << 30
"""Bytes after which a shard is closed."""

FEW, MANY = 1 << 10, 1 << 16
"""Entries that a dictionary may hold, at least and at most, before they are sorted into an array of
28 bytes each. Between them it is an eighth of the array, so that sorting stays cheap."""

MAPS = 64
"""Shards that are mapped at once: each takes a file descriptor."""


def size_of(value: Value) -> int:
    """Bytes of a value."""
    return sum(tensor.nbytes for tensor in value)


def bytes_of(tensor: Tensor) -> bytes:
    """A tensor's content; every type keeps its bits."""
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


class Layout:
    """Types and shapes of a value's tensors, and the name that tells them."""

    def __init__(self, name: str) -> None:
        self.name, self.tensors, self.size = name, [], 0
        for part in name.split("+"):
            kind, _, shape = part.partition(".")
            sizes = tuple(int(size) for size in shape.split("x")) if shape else ()
            dtype = getattr(torch, kind, None)
            if not isinstance(dtype, torch.dtype):
                raise ValueError(f"{name!r} names no layout")
            self.tensors.append((dtype, sizes, prod(sizes) * dtype.itemsize))
            self.size += prod(sizes) * dtype.itemsize

    @staticmethod
    def name_of(value: Value) -> str:
        """The name of a value's layout."""
        return "+".join(f"{str(t.dtype)[6:]}.{'x'.join(map(str, t.shape))}" for t in value)

    def read(self, row: np.ndarray) -> Value:
        """The tensors of a row, which they share."""
        value, start = [], 0
        for dtype, shape, size in self.tensors:
            flat = torch.empty(0, dtype=dtype)
            if size:
                # Copied where it doesn't begin at a place where its type may begin.
                apart = start % dtype.itemsize
                source, at = (row[start : start + size], 0) if apart else (row, start)
                count = size // dtype.itemsize
                flat = torch.frombuffer(source, dtype=dtype, count=count, offset=at)
            value.append(flat.reshape(shape))
            start += size
        return tuple(value)


class Shard:
    """One file of rows and one of records, as far as they are written."""

    def __init__(self, stem: Path) -> None:
        self.layout = Layout(stem.name.rpartition("-")[0])
        self.data, self.index = Path(f"{stem}.data"), Path(f"{stem}.index")
        self.read_rows = 0
        self.mapped: np.memmap[tuple[int], np.dtype[np.uint8]] | None = None

    def new_records(self) -> np.ndarray:
        """Records that were written since the last call; a torn one waits until it is whole."""
        count = _length(self.index) // RECORD.itemsize - self.read_rows
        if count <= 0:
            return np.empty(0, RECORD)
        start = self.read_rows * RECORD.itemsize
        records = np.fromfile(self.index, RECORD, count, offset=start)
        self.read_rows += len(records)
        return records

    def row(self, number: int) -> np.ndarray | None:
        """The bytes of a row, None where the file ends before it."""
        start, end = number * self.layout.size, (number + 1) * self.layout.size
        if start == end:
            return np.empty(0, np.uint8)
        if self.mapped is None or len(self.mapped) < end:
            if _length(self.data) < end:
                return None
            self.mapped = np.memmap(self.data, np.uint8, "r")
        return np.array(self.mapped[start:end])


class Writer:
    """Appends to a shard of its own."""

    def __init__(self, folder: Path, layout: str) -> None:
        stem = folder / f"{layout}-{uuid4().hex}"
        self.process, self.size = os.getpid(), 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self.data = os.open(f"{stem}.data", flags, 0o666)
        self.index = os.open(f"{stem}.index", flags, 0o666)

    def append(self, rows: Sequence[bytes], records: Sequence[bytes]) -> None:
        """Write rows, then their records."""
        try:
            _write(self.data, b"".join(rows))
            self.size += sum(map(len, rows))
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.data, self.size)  # gives a full disk its bytes back
            raise
        _write(self.index, b"".join(records))

    def close(self) -> None:
        """Close both files."""
        os.close(self.data)
        os.close(self.index)


class Shelf:
    """All shards of one part."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards: list[Shard] = []
        self.names: set[str] = set()
        self.sorted = np.empty(0, PLACED)
        self.high = np.empty(0, np.uint64)  # of those, side by side, as a search wants them
        self.recent: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        self.writers: dict[str, Writer] = {}
        self.maps: list[Shard] = []

    def refresh(self) -> None:
        """Take in what this process and others have written since."""
        for path in sorted(self.folder.glob("*.index")):
            if path.stem not in self.names and path.with_suffix(".data").exists():
                self.names.add(path.stem)
                with contextlib.suppress(ValueError):  # somebody else's file
                    self.shards.append(Shard(path.with_suffix("")))
        for number, shard in enumerate(self.shards):
            first, records = shard.read_rows, shard.new_records()
            if len(records) + len(self.recent) <= min(MANY, max(FEW, len(self.sorted) // 8)):
                for row, (high, low, check) in enumerate(records.tolist(), first):
                    self.recent.setdefault((high, low), []).append((check, number, row))
                continue
            placed = np.empty(len(records), PLACED)
            for name in RECORD.names or ():
                placed[name] = records[name]
            placed["shard"], placed["row"] = number, np.arange(first, first + len(records))
            self._sort(placed)

    def _sort(self, placed: np.ndarray) -> None:
        recent = [(*key, *place) for key, places in self.recent.items() for place in places]
        joined = np.concatenate([self.sorted, np.array(recent, PLACED), placed])
        self.sorted = joined[np.argsort(joined["high"], kind="stable")]
        self.high, self.recent = np.ascontiguousarray(self.sorted["high"]), {}

    def find(self, key: bytes) -> Value | None:
        """A value; None where there is none that is whole."""
        high, low = np.frombuffer(key, "<u8").tolist()
        places: list[tuple[int, int, int]] = [*self.recent.get((high, low), ())]
        # As the array's own type: NumPy would otherwise convert the whole array for each search.
        wanted = np.uint64(high)
        start, end = self.high.searchsorted(wanted), self.high.searchsorted(wanted, "right")
        places += [
            (check, shard, row)
            for _, other, check, shard, row in self.sorted[start:end].tolist()
            if other == low
        ]
        for check, number, row in places:
            data = self._row(self.shards[number], row)
            if data is not None and zlib.crc32(data.data, zlib.crc32(key)) == check:
                return self.shards[number].layout.read(data)
        return None

    def _row(self, shard: Shard, row: int) -> np.ndarray | None:
        if shard.mapped is None:
            self.maps.append(shard)
            if len(self.maps) > MAPS:
                self.maps.pop(0).mapped = None
        return shard.row(row)

    def add(self, values: Mapping[bytes, Value]) -> None:
        """Append values, each to this process's shard of its layout."""
        self.folder.mkdir(exist_ok=True)
        layouts: dict[str, list[bytes]] = {}
        for key, value in values.items():
            layouts.setdefault(Layout.name_of(value), []).append(key)
        for layout, keys in layouts.items():
            rows = [b"".join(map(bytes_of, values[key])) for key in keys]
            checks = [zlib.crc32(row, zlib.crc32(k)) for k, row in zip(keys, rows, strict=True)]
            records = [k + c.to_bytes(4, "little") for k, c in zip(keys, checks, strict=True)]
            self._writer(layout).append(rows, records)

    def _writer(self, layout: str) -> Writer:
        writer = self.writers.get(layout)
        # A fork has its parent's file, which the parent goes on writing.
        if writer is None or writer.process != os.getpid() or writer.size >= SHARD:
            if writer is not None:
                writer.close()
            self.writers[layout] = writer = Writer(self.folder, layout)
        return writer

    def __del__(self) -> None:
        for writer in self.writers.values():
            writer.close()


class Shards:
    """Values of parts in a folder.

    When it can't be written any more, as on a full disk or at its limit, it warns once and keeps
    nothing further.

    Args:
        folder: made if it isn't there.
        limit: bytes of values that the folder may hold, other processes' included; None for all
            that its disk has room for.

    Raises:
        ValueError: if nothing can be written to the folder.
    """

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        self.folder, self.limit = Path(folder), limit
        self.shelves: dict[str, Shelf] = {}
        self.failure: OSError | None = None
        self.lock = threading.Lock()  # somebody may read ahead in a thread
        trial = self.folder / f".{uuid4().hex}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise ValueError(
                f"feature_cache.dir={str(folder)!r} can't be written ({error.strerror}); name a "
                "folder that can, or null to keep results in memory"
            ) from error

    def find(self, part: str, keys: Sequence[str]) -> dict[str, Value]:
        """The values there are, other processes' included."""
        with self.lock:
            shelf = self._shelf(part)
            found = {key: shelf.find(_digest(key)) for key in keys}
            if missing := [key for key, value in found.items() if value is None]:
                shelf.refresh()
                found.update({key: shelf.find(_digest(key)) for key in missing})
        return {key: value for key, value in found.items() if value is not None}

    def add(self, part: str, values: Mapping[str, Value]) -> None:
        """Keep values, for good."""
        if self.failure is not None:
            return
        try:
            with self.lock:
                self._check_limit(values)
                self._shelf(part).add({_digest(key): value for key, value in values.items()})
        except OSError as error:
            self.failure = error
            warnings.warn(
                f"{self.folder} can't be written any more ({error.strerror}): what is there stays "
                "in use, nothing is added; make room and start again to go on keeping",
                stacklevel=2,
            )

    def bytes_kept(self, part: str) -> int:
        """Bytes that a part's shards take."""
        return sum(_length(path) for path in (self.folder / part).glob("*.data"))

    def free(self) -> int:
        """Bytes that may still be added: up to the limit, or what the disk has free."""
        free = shutil.disk_usage(self.folder).free
        return free if self.limit is None else max(0, min(free, self.limit - self._size()))

    def _size(self) -> int:
        return sum(_length(path) for path in self.folder.glob("*/*.data"))

    def _check_limit(self, values: Mapping[str, Value]) -> None:
        if self.limit is None or self._size() + sum(map(size_of, values.values())) <= self.limit:
            return
        raise OSError(errno.EDQUOT, f"max_gb={self.limit / 2**30:.3g} is reached")

    def _shelf(self, part: str) -> Shelf:
        if part not in self.shelves:
            self.shelves[part] = Shelf(self.folder / part)
        return self.shelves[part]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:16]


def _length(path: Path) -> int:
    """Bytes of a file, 0 where somebody has deleted it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write(file: int, data: bytes) -> None:
    """Write all of it; a nearly full disk takes a part and refuses the rest."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
