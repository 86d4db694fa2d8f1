"""AVIF files: their items (ISO/IEC 14496-12) and how large AV1 says that each is."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from anymodal.media.color import coded_profile
from anymodal.media.picture_file import PictureFile, boxes, damaged_error, image_cut_short
from anymodal.media.source import AVIF, Blob

Extents = tuple[tuple[int, int], ...]
_OBUS = 256  # of one item; a picture has a handful
_NS_PER_PIXEL, _NS_PER_ITEM = 60, 300_000


def read_avif(blob: Blob) -> PictureFile:
    """The header of an AVIF file (AV1 Image File Format 1.1); Pillow tells how it is turned.

    Raises:
        ValueError: if it is cut short, has no picture, or codes a larger one than it says.
    """
    metas = [(start, end) for name, start, end in boxes(blob) if name == b"meta"]
    if not metas:
        raise damaged_error(blob, AVIF, "it has no picture")
    start, end = metas[0]
    # `meta` is a full box: four bytes of version and flags come before its boxes.
    parts = {name: (at, stop) for name, at, stop in boxes(blob, start + 4, end)}
    sizes, profile = _properties(blob, parts)
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    item_pixels = _item_pixels(blob, parts)
    if not width or max(item_pixels, default=0) > width * height:
        raise damaged_error(blob, AVIF, "its coded picture is larger than it says")
    return PictureFile(
        # EXIF says nothing that counts here, and a broken one would stop Pillow
        blob.data[:start] + blob.data[start:end].replace(b"Exif", b"none") + blob.data[end:],
        width,
        height,
        per_pixel=13,  # planes of up to 16 bits or RGB, a copy as bytes, and Pillow's own
        effort=_NS_PER_PIXEL * max(width * height, sum(item_pixels))
        + _NS_PER_ITEM * len(item_pixels),
        profile=profile,
        orientation=0,
    )


def _properties(
    blob: Blob, parts: dict[bytes, tuple[int, int]]
) -> tuple[list[tuple[int, int]], bytes]:
    """Width and height of each item that has them, and an ICC profile of the colours."""
    sizes, icc, codes = list[tuple[int, int]](), b"", b""
    for name, start, end in boxes(blob, *parts.get(b"iprp", (0, 0))):
        for tag, at, stop in boxes(blob, start, end) if name == b"ipco" else ():
            content = blob.data[at:stop]
            if tag == b"ispe" and len(content) >= 12:
                sizes.append(struct.unpack_from(">II", content, 4))
            elif tag == b"colr" and content[:4] in (b"prof", b"rICC"):
                icc = icc or content[4:]
            elif tag == b"colr" and content[:4] == b"nclx" and len(content) >= 11:
                codes = codes or content[4:8]  # primaries and transfer (ISO/IEC 14496-12, 12.1.5)
    if not icc and codes:
        icc = coded_profile(*struct.unpack(">HH", codes)) or b""
    return sizes, icc


def _item_pixels(blob: Blob, parts: dict[bytes, tuple[int, int]]) -> list[int]:
    """The most pixels that each AV1 item can make its decoder allot."""
    pixels_by_extents, num_bytes = dict[Extents, int](), 0
    pixels = []
    for extents in _items(blob, parts):
        if extents not in pixels_by_extents:  # equal tiles of a grid may share their data
            data = b"".join(blob.data[start:stop] for start, stop in extents)
            num_bytes += len(data)
            # Items may share bytes, but so few of them that their work stays linear in the file.
            if num_bytes > 2 * len(blob.data):
                raise damaged_error(blob, AVIF, "its items overlap")
            pixels_by_extents[extents] = _coded_pixels(blob, data)
        pixels.append(pixels_by_extents[extents])
    return pixels


def _items(blob: Blob, parts: dict[bytes, tuple[int, int]]) -> Iterator[Extents]:
    """Offsets of each AV1 item's data (iloc, section 8.11.3)."""
    items_of_av1 = _coded_items(blob, parts)
    at, end = parts.get(b"iloc", (0, 0))
    read = _Reader(blob.data[at:end])
    version = read.number(1)
    read.number(3)
    widths = read.number(1)
    offset, length = widths >> 4, widths & 15
    widths = read.number(1)
    base, index = widths >> 4, widths & 15 if version else 0
    for _ in range(read.number(4 if version == 2 else 2)):
        item = read.number(4 if version == 2 else 2)
        method = read.number(2) & 15 if version else 0
        read.number(2)
        start = read.number(base)
        if method == 1:  # within the box of item data
            start += parts.get(b"idat", (0, 0))[0]
        extents = []
        count = read.number(2)
        if count > 1 and not offset + length:  # extents of no bytes here would cost time alone
            raise damaged_error(blob, AVIF, "its items")
        for _ in range(count):
            read.number(index)
            first, size = start + read.number(offset), read.number(length)
            if method > 1 or first + size > len(blob.data):
                raise image_cut_short(blob, first + size)
            if item in items_of_av1:
                extents.append((first, first + size if size else len(blob.data)))
        if item in items_of_av1:
            items_of_av1.remove(item)
            yield tuple(extents)


def _coded_items(blob: Blob, parts: dict[bytes, tuple[int, int]]) -> set[int]:
    """The numbers of the items that AV1 decodes (iinf, section 8.11.6)."""
    at, end = parts.get(b"iinf", (0, 0))
    items = set[int]()
    for name, start, stop in boxes(blob, at + (8 if blob.data[at : at + 1] == b"\1" else 6), end):
        wide = blob.data[start : start + 1] == b"\3"
        read = _Reader(blob.data[start + 4 : stop])
        item = read.number(4 if wide else 2)
        read.number(2)
        if name == b"infe" and read.number(4).to_bytes(4, "big") == b"av01":
            items.add(item)
    return items


def _coded_pixels(blob: Blob, data: bytes) -> int:
    """The most pixels that a sequence header in some AV1 data allows its frames (AV1, 5.3, 5.5)."""
    at = most = 0
    for _ in range(_OBUS):
        if at >= len(data):
            return most
        kind, has_extension, has_size = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + has_extension
        size = shift = 0
        while has_size:  # leb128 (AV1, section 4.10.5)
            if at >= len(data) or shift > 56:
                raise damaged_error(blob, AVIF, "its units")
            size |= (data[at] & 0x7F) << shift
            shift, has_size = shift + 7, data[at] >> 7
            at += 1
        stop = at + size if shift else len(data)
        if kind == 1:
            most = max(most, _sequence_pixels(blob, data[at : min(stop, at + 600)]))
        at = stop
    raise damaged_error(blob, AVIF, "it has too many units")


def _sequence_pixels(blob: Blob, data: bytes) -> int:
    """Width × height of a sequence header (AV1, section 5.5.1)."""
    bits = _Bits(data)
    bits.take(4)  # profile, still picture
    if bits.take(1):  # the reduced header of a still picture
        bits.take(5)
    else:
        if bits.take(1):  # times, which a picture has no use for
            raise damaged_error(blob, AVIF, "it has the times of a video")
        has_decoder_model = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if has_decoder_model and bits.take(1):
                bits.take(4)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    return (bits.take(across) + 1) * (bits.take(down) + 1)


class _Reader:
    """Big-endian numbers one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, size: int) -> int:
        """The next number of so many bytes; past the end there is none, lest counts loop on."""
        self.at += size
        if self.at > len(self.data):
            raise EOFError
        return int.from_bytes(self.data[self.at - size : self.at], "big")


class _Bits:
    """Bits from the highest to the lowest."""

    def __init__(self, data: bytes) -> None:
        self.value, self.num_bits = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next bits as a number."""
        self.num_bits -= count
        if self.num_bits < 0:
            raise EOFError
        return self.value >> self.num_bits & ((1 << count) - 1)
