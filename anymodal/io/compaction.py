"""Compaction: many small segments of a tensor store become few.

Each process of each run leaves a segment of its own. Merged ones take their place under one name
that follows from theirs: processes that merge the same at once write the same file.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from anymodal.io.checkpoint import replacing
from anymodal.io.segments import MERGED, SEGMENT_BYTES, StoreSegment, file_length

MAX_SMALL = 16
"""Segments of a schema that may stay small: rewriting all for every new one would cost more."""

IDLE_SECONDS = 600.0
"""Time after which nobody is thought to write to a segment."""


def compact(folder: Path) -> None:
    """Merge a section's small segments that nobody has written to for a while.

    Whole rows alone are taken, and each key once. Files go only after the merged one is on disk, so
    that whatever ends the process loses nothing. Where the disk is full, all stays as it is.
    """
    schemas: dict[str, list[StoreSegment]] = {}
    for segment in _idle_segments(folder):
        schemas.setdefault(segment.schema.name, []).append(segment)
    with contextlib.suppress(OSError):  # it saves time later on, which is no reason to fail
        for segments in schemas.values():
            if len(segments) > MAX_SMALL:
                for group in _groups(segments):
                    _merge(folder, group)
        _sweep(folder)


def _idle_segments(folder: Path) -> Iterator[StoreSegment]:
    for path in sorted(folder.glob("*.index")):
        with contextlib.suppress(ValueError, FileNotFoundError):  # others' files, or gone
            segment = StoreSegment(path.with_suffix(""))
            small = file_length(segment.data) <= SEGMENT_BYTES // 2
            if small and segment.data.exists() and _is_idle(path):
                yield segment


def _is_idle(path: Path) -> bool:
    return time.time() - path.stat().st_mtime >= IDLE_SECONDS


def _groups(segments: Sequence[StoreSegment]) -> Iterator[list[StoreSegment]]:
    """Segments in turn, as many at a time as fill one."""
    group: list[StoreSegment] = []
    size = 0
    for segment in segments:
        length = file_length(segment.data)
        if group and size + length > SEGMENT_BYTES:
            yield group
            group, size = [], 0
        group.append(segment)
        size += length
    if len(group) > 1:
        yield group


def _merge(folder: Path, segments: Sequence[StoreSegment]) -> None:
    names = "\n".join(segment.name for segment in segments)
    own = f"{MERGED}{hashlib.sha256(names.encode()).hexdigest()[:32]}"
    stem = folder / f"{segments[0].schema.name}-{own}"
    # Rows take their name before their records, by which readers know of both.
    with replacing(Path(f"{stem}.index")) as index, replacing(Path(f"{stem}.data")) as data:
        with open(index, "wb") as records, open(data, "wb") as rows:
            _copy(segments, rows, records)
    for segment in segments:
        segment.index.unlink(missing_ok=True)
        segment.data.unlink(missing_ok=True)


def _copy(segments: Sequence[StoreSegment], rows: BinaryIO, records: BinaryIO) -> None:
    """Append whole rows and their records, of each key the first."""
    keys: set[bytes] = set()
    for segment in segments:
        for number, entry in enumerate(segment.new_records()):
            record = entry.tobytes()
            key, check = record[:16], int.from_bytes(record[16:], "little")
            row = None if key in keys else segment.row(number)
            if row is not None and zlib.crc32(row.data, zlib.crc32(key)) == check:
                keys.add(key)
                rows.write(row.data)
                records.write(record)
        segment.memmap = None  # each holds a file descriptor


def _sweep(folder: Path) -> None:
    """Delete what a merge that was ended left: rows without records, and unfinished files."""
    for path in [*folder.glob("*.data"), *folder.glob(".*.tmp")]:
        with contextlib.suppress(FileNotFoundError):
            if not path.with_suffix(".index").exists() and _is_idle(path):
                path.unlink()
