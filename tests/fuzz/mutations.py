"""Damage to files: flipped bytes, cuts, splices, and fields that claim something else."""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_ODD = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_ODD_TEXT = (b"0", b"-1", b"1e308", b"nan", b"inf", b"999999999", b"1_000", b"", b"1,5", b'"',
             b"99999999999999999999", b"0.0000000001", b"\xff", b"\0", b"9" * 5000)  # fmt: skip
_BOXES = frozenset(b"moov trak mdia minf stbl edts meta iprp ipco moof traf udta dinf".split())
_MASTERS = frozenset(  # of EBML and Matroska: those whose content is elements again
    (0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1F43B675, 0xA0, 0x114D9B74,
     0x4DBB, 0x1C53BB6B, 0xBB, 0xB7)
)  # fmt: skip


@dataclass(frozen=True)
class Field:
    """A number in a file that says how large or how many something is."""

    at: int
    size: int
    order: str = "big"


def mutate(data: bytes, other: bytes, random_: random.Random) -> tuple[str, bytes]:
    """A damaged copy of a file, and how it was damaged; `other` is spliced into it at times."""
    ways: list[tuple[str, Callable[[], bytes]]] = [
        ("flip", lambda: _flip(data, random_)),
        ("cut", lambda: _cut(data, random_)),
        ("splice", lambda: _splice(data, other, random_)),
        ("field", lambda: _edit(data, random_)),
        ("field", lambda: _edit(data, random_)),
    ]
    name, way = random_.choice(ways)
    return name, way()


def _flip(data: bytes, random_: random.Random) -> bytes:
    """One to sixteen bytes changed; in half of the cases among the first of the file."""
    out = bytearray(data)
    reach = min(len(out), 256) if random_.random() < 0.5 else len(out)
    for _ in range(random_.choice((1, 1, 2, 4, 16))):
        at = random_.randrange(reach)
        out[at] = out[at] ^ (1 << random_.randrange(8)) if random_.random() < 0.5 else (
            random_.randrange(256)
        )  # fmt: skip
    return repair(bytes(out)) if random_.random() < 0.5 else bytes(out)


def _cut(data: bytes, random_: random.Random) -> bytes:
    """The file's beginning, its end, or it without a piece of its middle."""
    first, last = sorted(random_.randrange(len(data) + 1) for _ in range(2))
    way = random_.random()
    if way < 0.6:
        return data[: last or 1]
    return data[first:] or b"\0" if way < 0.8 else data[:first] + data[last:] or b"\0"


def _splice(data: bytes, other: bytes, random_: random.Random) -> bytes:
    """A piece of another file, or of itself again, within, in place of a piece, or behind."""
    source = other if random_.random() < 0.5 else data
    start = random_.randrange(len(source))
    piece = source[start : start + random_.choice((1, 16, 256, 4096, len(source)))]
    piece *= random_.choice((1, 1, 1, 2, 50))
    at = random_.choice((len(data), random_.randrange(len(data) + 1)))
    gone = random_.choice((0, len(piece)))
    return data[:at] + piece[:1_000_000] + data[at + gone :]


def _edit(data: bytes, random_: random.Random) -> bytes:
    """One to three fields that claim another size or count; checksums are made right again."""
    out = data
    for _ in range(random_.choice((1, 1, 2, 3))):
        fields = find_fields(out)
        numbers = [match.span() for match in re.finditer(rb"\d[\d.]*", out[:8192])]
        if numbers and (not fields or (out[:1].isalnum() or out[:1] in b"#\x93")):
            start, end = random_.choice(numbers)
            out = out[:start] + random_.choice(_ODD_TEXT) + out[end:]
            continue
        if not fields:
            at = random_.randrange(max(1, min(len(out) - 4, 512)))
            fields = [Field(at, random_.choice((1, 2, 4)), random_.choice(("little", "big")))]
        place = random_.randrange(len(fields))
        out = _with_number(out, fields[place], random_)
        if random_.random() < 0.3:  # width and height, say, or a count and a size
            value = random_.choice((1000, 8000, 0x7FFF, 0xFFFF, 0x7FFFFFFF))
            for field in fields[place : place + 2]:
                out = _with_number(out, field, random_, value)
    return repair(out)


def _with_number(
    data: bytes, field: Field, random_: random.Random, value: int | None = None
) -> bytes:
    """The file with another number in a field: the given one, an odd one, or one near it."""
    was = int.from_bytes(data[field.at : field.at + field.size], field.order)  # type: ignore[arg-type]
    near = (was + 1, was - 1, was * 2, was // 2, was + 1000, was << 8, len(data))
    value = random_.choice((*_ODD, *near)) if value is None else value
    new = (value & ((1 << 8 * field.size) - 1)).to_bytes(field.size, field.order)  # type: ignore[arg-type]
    return data[: field.at] + new + data[field.at + field.size :]


def find_fields(data: bytes) -> list[Field]:
    """The fields of sizes, counts and shapes that a file's format has where it begins like this."""
    finders = (
        (rb"\x89PNG", _png), (rb"RIFF|RF64", _riff), (rb"FORM", _iff), (rb"caff", _caf),
        (rb"....(?:ftyp|moov|mdat|wide|free|jP  )", _boxes), (rb"\x1aE\xdf\xa3", _ebml),
        (rb"\xff\xd8\xff", _jpeg), (rb"GIF8", _gif), (rb"II\*\0|MM\0\*", _tiff),
        (rb"OggS", _ogg), (rb"\xff\x4f\xff\x51", _jpeg), (rb"BM", _start(2, 50, 4, "little")),
        (rb"\.snd", _start(4, 24, 4, "big")), (rb"fLaC", _start(4, 42, 2, "big")),
        (rb"FLV", _start(3, 40, 1, "big")), (rb"riff", _start(16, 120, 8, "little")),
        (rb"\x30\x26\xb2\x75", _start(16, 400, 4, "little")), (rb"ID3", _start(3, 20, 1, "big")),
    )  # fmt: skip
    for pattern, find in finders:
        if re.match(pattern, data, re.DOTALL):
            return [field for field in find(data) if field.at + field.size <= len(data)]
    return []


def _start(first: int, last: int, step: int, order: str) -> Callable[[bytes], Iterator[Field]]:
    """Every number of a header that has no chunks."""
    return lambda data: (Field(at, step, order) for at in range(first, last, step))


def _png(data: bytes) -> Iterator[Field]:
    at = 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield Field(at, 4)
        if data[at + 4 : at + 8] in (b"IHDR", b"fcTL", b"acTL"):
            yield from (Field(at + 8 + 4 * i, 4) for i in range(min(size, 100) // 4))
        at += 12 + size


def _riff(data: bytes) -> Iterator[Field]:
    yield Field(4, 4, "little")
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        yield Field(at + 4, 4, "little")
        if name == b"LIST":
            at += 12
            continue
        if name != b"data":
            yield from (Field(at + 8 + 2 * i, 2, "little") for i in range(min(size, 60) // 2))
        at += 8 + size + size % 2


def _iff(data: bytes) -> Iterator[Field]:
    yield Field(4, 4)
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        yield Field(at + 4, 4)
        if size < 100:
            yield from (Field(at + 8 + 2 * i, 2) for i in range(size // 2))
        at += 8 + size + size % 2


def _caf(data: bytes) -> Iterator[Field]:
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 12], "big")
        yield Field(at + 4, 8)
        if size < 100:
            yield from (Field(at + 12 + 4 * i, 4) for i in range(min(size, 100) // 4))
        at += 12 + size


def _boxes(data: bytes, at: int = 0, end: int | None = None, depth: int = 0) -> Iterator[Field]:
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        yield Field(at, 4)
        if size < 8 or depth > 8:
            return
        if name in _BOXES:
            yield from _boxes(data, at + 8 + 4 * (name == b"meta"), min(end, at + size), depth + 1)
        elif name not in (b"mdat", b"free"):
            yield from (Field(at + 8 + 4 * i, 4) for i in range(min(size - 8, 120) // 4))
        at += size


def _ebml(data: bytes, at: int = 0, end: int | None = None, depth: int = 0) -> Iterator[Field]:
    end = len(data) if end is None else end
    while at + 2 <= end and depth < 6:
        name_size = max(1, 9 - data[at].bit_length())
        name = int.from_bytes(data[at : at + name_size], "big")
        at += name_size
        if at >= end:
            return
        size_size = max(1, 9 - data[at].bit_length())
        size = int.from_bytes(data[at : at + size_size], "big") & ((1 << 7 * size_size) - 1)
        yield Field(at, size_size)
        at += size_size
        if name in _MASTERS:
            yield from _ebml(data, at, min(end, at + size), depth + 1)
        elif size <= 8:
            yield Field(at, max(1, size))
        at += size


def _jpeg(data: bytes) -> Iterator[Field]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        yield Field(at + 2, 2)
        if data[at + 1] in (0xC0, 0xC1, 0xC2, 0xDD, 0x51, 0x52):  # frames, intervals, J2K sizes
            yield Field(at + 4, 1)
            yield from (Field(at + 5 + 2 * i, 2) for i in range(min(size, 40) // 2))
        at += 2 + size


def _gif(data: bytes) -> Iterator[Field]:
    yield from (Field(6, 2, "little"), Field(8, 2, "little"), Field(10, 1))
    for match in re.finditer(rb",(?s:....)", data):  # image descriptors, more or less
        yield from (Field(match.start() + 1 + 2 * i, 2, "little") for i in range(4))
    for match in re.finditer(rb"!\xf9\x04", data):
        yield Field(match.start() + 4, 2, "little")


def _tiff(data: bytes) -> Iterator[Field]:
    order = "little" if data[:2] == b"II" else "big"
    at = int.from_bytes(data[4:8], order)  # type: ignore[arg-type]
    yield Field(4, 4, order)
    yield Field(at, 2, order)
    count = int.from_bytes(data[at : at + 2], order)  # type: ignore[arg-type]
    for entry in range(at + 2, min(len(data), at + 2 + 12 * count), 12):
        yield from (Field(entry, 2, order), Field(entry + 2, 2, order))
        yield from (Field(entry + 4, 4, order), Field(entry + 8, 4, order))


def _ogg(data: bytes) -> Iterator[Field]:
    for match in re.finditer(b"OggS", data):
        at = match.start()
        yield from (Field(at + 5, 1), Field(at + 6, 8, "little"), Field(at + 14, 4, "little"))
        yield from (Field(at + 18, 4, "little"), Field(at + 26, 1))
        body = at + 27 + (data[at + 26] if at + 26 < len(data) else 0)
        yield from (Field(body + i, 4, "little") for i in range(8, 60, 4))


def repair(data: bytes) -> bytes:
    """The file with the checksums of PNG chunks and Ogg pages made right, so that it is read on."""
    if data.startswith(b"\x89PNG"):
        return _repair_png(data)
    return _repair_ogg(data) if data.startswith(b"OggS") else data


def _repair_png(data: bytes) -> bytes:
    out, at = bytearray(data), 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + size
        if end + 4 > len(data):
            break
        out[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(out)


def _repair_ogg(data: bytes) -> bytes:
    out, at = bytearray(data), 0
    while out[at : at + 4] == b"OggS" and at + 27 <= len(out):
        segments = out[at + 26]
        end = at + 27 + segments + sum(out[at + 27 : at + 27 + segments])
        if end > len(out):
            break
        out[at + 22 : at + 26] = bytes(4)
        out[at + 22 : at + 26] = _ogg_checksum(out[at:end]).to_bytes(4, "little")
        at = end
    return bytes(out)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_CRC = _table()


def _ogg_checksum(page: bytes | bytearray) -> int:
    """The checksum of a page (RFC 3533, section 6): CRC-32 by 0x04C11DB7, nothing inverted."""
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC[value >> 24 ^ byte]
    return value
