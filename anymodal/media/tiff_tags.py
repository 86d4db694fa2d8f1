"""The directories of tags that TIFF files and EXIF are made of (TIFF 6.0, section 2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_ENTRIES = 4096  # more than any directory in use has
_ORIENTATION, _EXIF, _INTEROP = 274, 34665, 40965


@dataclass(frozen=True)
class TiffEntry:
    """A tag of a directory: its type, how many values, and where they and the entry itself are."""

    kind: int
    count: int
    at: int
    raw: bytes

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return self.count * _SIZES.get(self.kind, 0)


@dataclass(frozen=True)
class Directory:
    """The tags of one directory, whose values are read where they are asked for."""

    data: bytes
    order: str
    entries: dict[int, TiffEntry]
    next: int

    def bytes(self, tag: int) -> bytes:
        """The values of a tag as they stand; nothing where it is absent or reaches outside."""
        entry = self.entries.get(tag)
        if entry is None or entry.at + entry.size > len(self.data):
            return b""
        return self.data[entry.at : entry.at + entry.size]

    def numbers(self, tag: int) -> NDArray[np.int64]:
        """The whole numbers of a tag; none where it has no such."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _NUMBERS:
            return np.zeros(0, np.int64)
        values = np.frombuffer(self.bytes(tag), self.order + _NUMBERS[entry.kind])
        # Below 2**63 also after a size is added to an offset.
        return values.clip(0, 2**60).astype(np.int64)

    def number(self, tag: int, default: int = 0) -> int:
        """The first whole number of a tag."""
        numbers = self.numbers(tag)[:1]
        return int(numbers[0]) if len(numbers) else default


def first(data: bytes) -> tuple[str, bool, int]:
    """Byte order (`<` or `>`), whether it is BigTIFF, and where the first directory is."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data.ljust(16, b"\0"), 2)[0] == 43
    at = struct.unpack_from(order + ("8xQ" if big else "4xI"), data.ljust(16, b"\0"))[0]
    return order, big, int(at)


def directory(data: bytes, at: int, order: str, big: bool) -> Directory | None:
    """The directory at an offset; None if it does not lie within the data."""
    head, row = ("Q", "HHQ") if big else ("H", "HHI")
    start, step, inline = at + (8 if big else 2), 20 if big else 12, 8 if big else 4
    if start > len(data):
        return None
    count = struct.unpack_from(order + head, data, at)[0]
    end = start + count * step
    if count > _ENTRIES or end + inline > len(data):
        return None
    entries = dict[int, TiffEntry]()
    for place in range(start, end, step):
        tag, kind, values = struct.unpack_from(order + row, data, place)
        value = place + step - inline
        if values * _SIZES.get(kind, 0) > inline:
            value = int.from_bytes(
                data[value : value + inline], "little" if order == "<" else "big"
            )
        entries.setdefault(tag, TiffEntry(kind, values, value, data[place : place + step]))
    following = struct.unpack_from(order + ("Q" if big else "I"), data, end)[0]
    return Directory(data, order, entries, following)


def _exif(exif: bytes) -> Directory | None:
    data = exif.removeprefix(b"Exif\0\0")
    if data[:4] not in (b"II\x2a\0", b"MM\0\x2a"):
        return None
    order, big, at = first(data)
    return directory(data, at, order, big)


def orientation(exif: bytes) -> int:
    """EXIF's orientation, 1 to 8; 1 where it has none."""
    tags = _exif(exif)
    value = tags.number(_ORIENTATION, 1) if tags else 1
    return value if 1 <= value <= 8 else 1


def says_adobe_rgb(exif: bytes) -> bool:
    """Return True for EXIF with the mark R03, by which cameras declare Adobe RGB (DCF 2.0)."""
    tags = _exif(exif)
    for tag in (_EXIF, _INTEROP):
        if tags is None or tag not in tags.entries:
            return False
        tags = directory(tags.data, tags.number(tag), tags.order, False)
    return tags is not None and tags.bytes(1)[:3] == b"R03"
