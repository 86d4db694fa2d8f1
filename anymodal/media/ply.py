"""PLY files: points with their colours, in text or binary (Turk 1994, "The PLY polygon format")."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from anymodal.config.printable import printable
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.source import PLY, Blob

_HEADER = 65_536  # bytes that a header may take
_CONTENT = re.compile(rb"\S")
_LONG_LINE = re.compile(rb"[^\n]{65536}")  # NumPy takes four bytes for each of a row's characters
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
Columns = NDArray[np.void] | Mapping[str, NDArray[np.float64]]
"""Values of vertices (n,) by their names."""

_AXES = ("x", "y", "z")
_COLORS = ("red", "green", "blue")


def read_ply(blob: Blob, limits: Limits) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    """The vertices (n, 3) of a PLY file and, where it has them, their colours (n, 3).

    Colours are bytes, or floats from 0 to 1. Faces and what else vertices have are left out.

    Raises:
        ValueError: if it is damaged, cut short, over a limit, or its vertices don't come first
            or lack x, y or z.
    """
    with decoding(blob.name, PLY.label):
        order, count, types, start = _header(blob)
        limits.check_points(blob.name, count)
        row = np.dtype([(name, _ORDERS[order] + kind) for name, kind in types.items()])
        size = count * (8 * len(types) if order == "ascii" else row.itemsize)
        limits.check_decoded(blob.name, size, f"{count:,} points of {len(types)} values")
        read = _read_text if order == "ascii" else _read_binary
        columns = read(blob, start, count, row)
        points = np.stack([columns[axis].astype(np.float32) for axis in _AXES], axis=1)
        return points, _colors(blob, columns, types)


def write_ply(points: NDArray[np.float32], colors: NDArray[np.uint8] | None) -> bytes:
    """A binary PLY file of points (n, 3) with or without colours (n, 3)."""
    fields = [(axis, "<f4") for axis in _AXES]
    if colors is not None:
        fields += [(color, "u1") for color in _COLORS]
    table = np.empty(len(points), fields)
    for index, axis in enumerate(_AXES):
        table[axis] = points[:, index]
    if colors is not None:
        for index, color in enumerate(_COLORS):
            table[color] = colors[:, index]
    names = {"<f4": "float", "u1": "uchar"}
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(points)}",
        *(f"property {names[kind]} {name}" for name, kind in fields),
        "end_header\n",
    ]
    return "\n".join(lines).encode() + table.tobytes()


def _header(blob: Blob) -> tuple[str, int, dict[str, str], int]:
    """Byte order, number of vertices, types of their values by name, and where the first is."""
    end = re.search(rb"\nend_header[ \t]*\r?\n", blob.data[:_HEADER])
    if end is None:
        raise MediaError(f"{blob.name} is PLY without a header's end; save or download it again")
    lines = [
        line.split() for line in blob.data[: end.start()].decode("ascii", "replace").split("\n")
    ]
    order = next((line[1] for line in lines if line[:1] == ["format"] and len(line) > 1), "")
    if order not in _ORDERS:
        raise MediaError(
            f"{blob.name} is PLY of the format {printable(order)!r}; save it as one of "
            f"{', '.join(_ORDERS)}"
        )
    elements = [index for index, line in enumerate(lines) if line[:1] == ["element"]]
    first = lines[elements[0]] if elements else []
    if first[1:2] != ["vertex"]:
        raise MediaError(f"{blob.name} is PLY whose first element is no vertex; put vertices first")
    inside = lines[elements[0] + 1 : elements[1] if len(elements) > 1 else None]
    pairs = [_property(blob, line) for line in inside if line[:1] == ["property"]]
    types = dict(pairs)
    if len(types) < len(pairs):
        raise MediaError(f"{blob.name} names a value of its vertices twice; export it again")
    if absent := [axis for axis in _AXES if axis not in types]:
        raise MediaError(f"{blob.name} has vertices without {absent[0]}; export x, y and z")
    return order, int(first[2]), types, end.end()


def _property(blob: Blob, line: list[str]) -> tuple[str, str]:
    if len(line) != 3 or line[1] not in _TYPES:
        raise MediaError(
            f"{blob.name} has vertices with a {printable(' '.join(line))!r}; export plain numbers"
        )
    return line[2], _TYPES[line[1]]


def _read_binary(blob: Blob, start: int, count: int, row: np.dtype[np.void]) -> Columns:
    there = len(blob.data) - start
    if there < count * row.itemsize:
        raise _cut_short(blob, there // row.itemsize, count)
    return np.frombuffer(blob.data, row, count, start)


def _read_text(blob: Blob, start: int, count: int, row: np.dtype[np.void]) -> Columns:
    names = row.names or ()
    first = _CONTENT.search(blob.data, start)
    if first is None:
        raise _cut_short(blob, 0, count)
    row_end = blob.data.find(b"\n", first.start()) % (len(blob.data) + 1)
    if _LONG_LINE.search(blob.data, start) or len(
        blob.data[first.start() : row_end].split(None, len(names))
    ) != len(names):
        raise MediaError(
            f"{blob.name} has rows that are not of {len(names)} numbers; export it again"
        )
    text = BytesIO(blob.data)
    text.seek(start)
    values = np.loadtxt(text, np.float64, comments=None, max_rows=count, ndmin=2)
    if len(values) < count:
        raise _cut_short(blob, len(values), count)
    return dict(zip(names, values.T, strict=True))  # (n, columns) -> by column


def _cut_short(blob: Blob, there: int, count: int) -> MediaError:
    return MediaError(
        f"{blob.name} is cut short: {there:,} of {count:,} points are there; save or download it "
        "again"
    )


def _colors(blob: Blob, columns: Columns, types: dict[str, str]) -> NDArray[np.uint8] | None:
    kinds = {types.get(color, "") for color in _COLORS}
    if kinds == {"u1"}:
        return np.stack([columns[color].astype(np.uint8) for color in _COLORS], axis=1)
    if not kinds <= {"f4", "f8"}:
        return None
    return to_byte_colors(blob, [columns[color] for color in _COLORS])


def to_byte_colors(blob: Blob, shares: Sequence[NDArray[np.generic]]) -> NDArray[np.uint8]:
    """Colours (n, 3) from 0 to 255 of red, green and blue (n,) from 0 to 1.

    Raises:
        ValueError: if one is outside.
    """
    low = float(np.min([share.min() for share in shares]))
    high = float(np.max([share.max() for share in shares]))
    if not (low >= 0 and high <= 1):
        raise MediaError(
            f"{blob.name} has colours from {low:g} to {high:g}; as floats they go from 0 to 1, so "
            "divide them by 255"
        )
    colors = np.empty((len(shares[0]), 3), np.uint8)
    for channel, share in enumerate(shares):
        colors[:, channel] = (share.astype(np.float64) * 255).round()
    return colors
