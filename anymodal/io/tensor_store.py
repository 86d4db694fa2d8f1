"""Tensors in a folder by section and key, in append-only files that many processes write at once.

A section is a folder of segments. A segment is written by one process, rows before their records,
so that whatever ends the process leaves a tail that is ignored; a row that doesn't fit its record's
checksum counts as missing. There are no locks and no database, which are what breaks on a shared
disk. Segments that nobody writes any more are merged when a section is opened (`compaction`).
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np

from anymodal.distributed import collectives
from anymodal.io.compaction import compact
from anymodal.io.segments import (
    RECORD,
    SEGMENT_BYTES,
    Records,
    RecordSchema,
    Row,
    SegmentWriter,
    StoreSegment,
    Value,
    file_length,
    folder_time,
    set_folder_time,
    size_of,
)

LOCATION = np.dtype([*RECORD.descr, ("segment", "<u4"), ("row", "<u4")])

RECENT_MIN, RECENT_MAX = 1 << 10, 1 << 16
"""Entries that a dictionary may hold, at least and at most, before they are sorted into an array of
28 bytes each. Between them it is an eighth of the array, so that sorting stays cheap."""

LOOKS = 100
"""Looks at the folder's size while the room below its limit is filled once."""

MAX_MAPS = 64
"""Segments that are mapped at once: each takes a file descriptor."""


class Section:
    """All segments of one folder, and where in them each key is.

    Whoever appends to a segment sets the folder's time, so that a look at that tells whether any of
    them has grown.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modified: int | None = None  # the folder's time, at the last look into it
        self.segments: list[StoreSegment] = []
        self.numbers: dict[str, int] = {}  # of segments by name; -1 for a file of others
        self.index: Records = np.empty(0, LOCATION)
        self.high = np.empty(0, np.uint64)  # of those, contiguous, as a binary search wants them
        self.recent: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        self.writers: dict[str, SegmentWriter] = {}
        self.maps: list[StoreSegment] = []

    def refresh(self) -> None:
        """Take in what this process and others have written since."""
        modified = folder_time(self.folder)
        if modified == self.modified:
            return
        self.modified = modified  # before the look: what comes during it is found by the next
        files: set[str] = set()
        with contextlib.suppress(FileNotFoundError):  # deleted, which may happen at any time
            files = set(os.listdir(self.folder))
        for name in sorted(file.removesuffix(".index") for file in files):
            if name not in self.numbers and {f"{name}.index", f"{name}.data"} <= files:
                self._open(name)
        for number, segment in enumerate(self.segments):
            if not segment.complete:
                self._take_in(number)
                segment.complete = segment.merged or segment.index.name not in files

    def _open(self, name: str) -> None:
        self.numbers[name] = len(self.segments)
        try:
            self.segments.append(StoreSegment(self.folder / name))
        except ValueError:  # a file that isn't the store's
            self.numbers[name] = -1

    def _take_in(self, number: int) -> None:
        """Note where the new rows of a segment are."""
        segment = self.segments[number]
        start_row, records = segment.read_rows, segment.new_records()
        most = min(RECENT_MAX, max(RECENT_MIN, len(self.index) // 8))
        if len(records) + len(self.recent) <= most:
            for row, (high, low, check) in enumerate(records.tolist(), start_row):
                self.recent.setdefault((high, low), []).append((check, number, row))
            return
        locations = np.empty(len(records), LOCATION)
        for name in RECORD.names or ():
            locations[name] = records[name]
        locations["segment"], locations["row"] = (
            number,
            np.arange(start_row, start_row + len(records)),
        )
        self._sort(locations)

    def _sort(self, locations: Records) -> None:
        recent = [(*key, *place) for key, places in self.recent.items() for place in places]
        entries = np.concatenate([self.index, np.array(recent, LOCATION), locations])
        self.index = entries[np.argsort(entries["high"], kind="stable")]
        self.high, self.recent = np.ascontiguousarray(self.index["high"]), {}

    def locations(self, key: bytes) -> list[tuple[int, int, int]]:
        """Checksum, segment and row of the values of a key's digest."""
        high, low = np.frombuffer(key, "<u8").tolist()
        places: list[tuple[int, int, int]] = [*self.recent.get((high, low), ())]
        # As the array's own type: NumPy would otherwise convert the whole array for each search.
        value = np.uint64(high)
        start, end = self.high.searchsorted(value), self.high.searchsorted(value, "right")
        places += [
            (check, segment, row)
            for _, entry_low, check, segment, row in self.index[start:end].tolist()
            if entry_low == low
        ]
        return places

    def find(self, key: bytes) -> Value | None:
        """The value of a key's digest; None where there is none that is whole."""
        for check, number, row in self.locations(key):
            data = self._row(self.segments[number], row)
            if data is not None and zlib.crc32(data.data, zlib.crc32(key)) == check:
                return self.segments[number].schema.read(data)
        return None

    def _row(self, segment: StoreSegment, row: int) -> Row | None:
        # The oldest map goes first; each holds a file descriptor, of which a process has few.
        if segment.memmap is None:
            self.maps.append(segment)
            if len(self.maps) > MAX_MAPS:
                self.maps.pop(0).memmap = None
        return segment.row(row)

    def add(self, values: Mapping[bytes, Value]) -> None:
        """Append values, each to this process's segment of its schema."""
        self.folder.mkdir(exist_ok=True)
        is_current = folder_time(self.folder) == self.modified
        schemas: dict[str, dict[bytes, Value]] = {}
        for key, value in values.items():
            schemas.setdefault(RecordSchema.name_of(value), {})[key] = value
        for schema, group in schemas.items():
            self._writer(schema).append(group)
        modified = set_folder_time(self.folder)
        if is_current:  # nobody else has written anything, and one's own is known
            for writer in self.writers.values():
                if writer.name not in self.numbers:
                    self._open(writer.name)
                self._take_in(self.numbers[writer.name])
            self.modified = modified

    def _writer(self, schema: str) -> SegmentWriter:
        writer = self.writers.get(schema)
        if writer is None or not writer.is_usable() or writer.size >= SEGMENT_BYTES:
            if writer is not None:
                writer.close()
            # A name of its own, so no two processes ever append to one file.
            self.writers[schema] = writer = SegmentWriter(self.folder, schema)
        return writer

    def __del__(self) -> None:
        for writer in self.writers.values():
            writer.close()


class TensorStore:
    """Values in a folder, by section and key.

    When it can't be written any more, as on a full disk or at its limit, it warns once and keeps
    nothing further.

    Args:
        folder: made if it isn't there.
        limit: bytes of values that the folder may hold, other processes' included; None for as much
            as its disk has room for.

    Raises:
        ValueError: if nothing can be written to the folder.
    """

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        self.folder, self.limit = Path(folder), limit
        self.sections: dict[str, Section] = {}
        self.failure: OSError | None = None
        self.lock, self.process = threading.Lock(), os.getpid()  # a thread may be prefetching
        self._size = self._added = 0  # bytes at the last look, and added since
        trial = self.folder / f".{uuid4().hex}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise ValueError(
                f"no feature cache can be kept in {str(folder)!r} ({error.strerror}); name a "
                "folder that can be written"
            ) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if self.process != os.getpid():
            # A fork may have come in the midst of a thread's work, which nobody ends here.
            if self.lock.locked():
                self.sections = {}
            self.lock, self.process = threading.Lock(), os.getpid()
        with self.lock:
            yield

    def find(self, section: str, keys: Sequence[str]) -> dict[str, Value]:
        """The values there are, other processes' included."""
        with self._locked():
            index = self._section(section)
            values = {key: index.find(_digest(key)) for key in keys}
            if misses := [key for key, value in values.items() if value is None]:
                index.refresh()
                values.update({key: index.find(_digest(key)) for key in misses})
        return {key: value for key, value in values.items() if value is not None}

    def holds(self, section: str, keys: Sequence[str]) -> list[bool]:
        """Return whether there are values, by their records alone; a row may yet be torn."""
        with self._locked():
            index = self._section(section)
            present = [bool(index.locations(_digest(key))) for key in keys]
            if not all(present):
                index.refresh()
                present = [bool(index.locations(_digest(key))) for key in keys]
        return present

    def add(self, section: str, values: Mapping[str, Value]) -> None:
        """Keep values, for good."""
        if self.failure is not None:
            return
        try:
            with self._locked():
                self._check_limit(values)
                self._section(section).add({_digest(key): value for key, value in values.items()})
        except OSError as error:
            self.failure = error
            warnings.warn(
                f"{self.folder} can't be written any more ({error.strerror}): what is there stays "
                "in use, nothing is added; make room and start again to go on keeping",
                stacklevel=2,
            )

    def size(self, section: str = "*") -> int:
        """Bytes that the values of a section take, or of all."""
        return sum(file_length(path) for path in self.folder.glob(f"{section}/*.data"))

    def free(self) -> int:
        """Bytes that may still be added: up to the limit, or what the disk has free."""
        free = shutil.disk_usage(self.folder).free
        return free if self.limit is None else max(0, min(free, self.limit - self.size()))

    def _check_limit(self, values: Mapping[str, Value]) -> None:
        if self.limit is None:
            return
        added = sum(map(size_of, values.values()))
        # Looked at again after a share of the room is filled: a look goes through all files.
        if self._added + added > (self.limit - self._size) // LOOKS or not self._size:
            self._size, self._added = self.size(), 0
        self._added += added
        if self._size + self._added > self.limit:
            raise OSError(errno.EDQUOT, f"max_gb={self.limit / 2**30:.3g} is reached")

    def _section(self, name: str) -> Section:
        if name not in self.sections:
            # One of the processes that were launched together, so that each isn't at it.
            if collectives.is_rank_zero():
                compact(self.folder / name)
            self.sections[name] = Section(self.folder / name)
        return self.sections[name]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:16]
