"""The boxes of MP4 and QuickTime (ISO/IEC 14496-12), checked before FFmpeg reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import Blob
from anymodal.media.spans import cut_bytes

_TOP = frozenset(
    b"ftyp moov mdat free skip wide pnot moof mfra sidx ssix styp uuid meta udta emsg prft pdin "
    b"junk".split()
)
_HOLDS = frozenset(b"moov trak mdia minf stbl moof traf".split())
_TABLES = {b"stts": 8, b"ctts": 8, b"stsc": 12, b"stco": 4, b"co64": 8, b"stss": 4, b"sdtp": 0}
"""Boxes that are a table behind a count of its rows, and the size of a row."""
_MOST_BOXES = 1_000_000
_INDEX = 24  # bytes that FFmpeg keeps for each sample
_TRUN_FIELDS = (0x100, 0x200, 0x400, 0x800)  # of each sample, 4 bytes each (section 8.8.8)
_SAMPLES_PER_BYTE = 8  # no format of sound in use packs more


def mp4_end(blob: Blob, limits: Limits) -> int:
    """The end of the last box; bytes behind it, as a phone's trailer, are left out.

    Raises:
        ValueError: if a box is cut short, or claims more samples than there is room for.
    """
    data, at, kinds = blob.data, 0, set()
    for kind, start, end in _boxes(blob, 0, len(data)):
        if end > len(data):
            if kind in _TOP:
                raise cut_bytes(blob.name, len(data), end)
            break
        if kind in _HOLDS:
            _check_tables(blob, limits, start, end)
        kinds.add(kind)
        at = end
    return at if b"moov" in kinds else len(data)


def _boxes(blob: Blob, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes in a part of a file: type, where the content starts, and where it should end."""
    data, count = blob.data, 0
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1 and at + 16 <= end:  # 64 bits
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        elif size == 0:  # to the end
            size = end - at
        if size < start - at:
            return
        yield kind, start, at + size
        at += size
        count += 1
        if count > _MOST_BOXES:
            raise MediaError(
                f"{blob.name} has more than {_MOST_BOXES:,} boxes in a row: it is damaged; "
                "save or download it again"
            )


def _check_tables(blob: Blob, limits: Limits, start: int, end: int) -> None:
    """Refuse tables with more rows than bytes, and more samples than an index may hold.

    FFmpeg allots an entry for each sample that a table claims, which takes no bytes where all
    have one size.
    """
    waiting, samples = [(start, end)], 0
    while waiting:
        tables: dict[bytes, tuple[int, int]] = {}
        for kind, inner, close in _boxes(blob, *waiting.pop()):
            if kind in _HOLDS:
                waiting.append((inner, min(close, end)))
            elif kind in _TABLES and _number(blob, inner + 4) * _TABLES[kind] > close - inner:
                raise _more_than_there(blob)
            elif kind == b"trun":
                samples += _run(blob, inner, close)
            tables.setdefault(kind, (inner, close))
        samples += _table_samples(blob, tables)
        limits.check_decoded(blob.name, _INDEX * samples, f"an index of {samples:,} samples")


def _run(blob: Blob, start: int, end: int) -> int:
    flags, count = _number(blob, start), _number(blob, start + 4)
    size = 4 * sum(bool(flags & field) for field in _TRUN_FIELDS)
    if count * size > end - start or count > len(blob.data):
        raise _more_than_there(blob)
    return count


def _table_samples(blob: Blob, tables: dict[bytes, tuple[int, int]]) -> int:
    """The entries that FFmpeg makes of one track's tables."""
    if b"stsz" not in tables:
        return 0
    start, end = tables[b"stsz"]
    # A size of 0 means a table of sizes (stsz, section 8.7.3).
    size, count = _number(blob, start + 4), _number(blob, start + 8)
    if size * count > len(blob.data) or (size == 0 and 4 * count > end - start):
        raise _more_than_there(blob)
    chunk_samples = _chunk_samples(blob, tables)
    if chunk_samples > _SAMPLES_PER_BYTE * len(blob.data) + 65_536:
        raise _more_than_there(blob)
    times = tables.get(b"stts", (0, 0))[0]
    plain = times and _number(blob, times + 4) == 1 and _number(blob, times + 12) == 1
    # Sound without a codec goes by chunks.
    return chunk_samples // 1024 if size and plain else count


def _chunk_samples(blob: Blob, tables: dict[bytes, tuple[int, int]]) -> int:
    """The number of samples by the table of chunks (stsc, section 8.7.4)."""
    places = tables.get(b"stco") or tables.get(b"co64")
    if places is None or b"stsc" not in tables:
        return 0
    chunks, (start, _) = _number(blob, places[0] + 4), tables[b"stsc"]
    rows = blob.data[start + 8 : start + 8 + 12 * _number(blob, start + 4)]
    total = 0
    runs = list(struct.iter_unpack(">III", rows[: len(rows) // 12 * 12]))
    for index, (first, per_chunk, _) in enumerate(runs):
        after = runs[index + 1][0] if index + 1 < len(runs) else chunks + 1
        total += per_chunk * max(0, min(after, chunks + 1) - first)
    return total


def _number(blob: Blob, at: int) -> int:
    return int.from_bytes(blob.data[at : at + 4], "big")


def _more_than_there(blob: Blob) -> MediaError:
    return MediaError(
        f"{blob.name} claims more samples than it has bytes for: it is damaged or cut short; "
        "save or download it again"
    )
