"""Headers of the picture formats that need few words: WebP, BMP, PNM, QOI and ICO."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

import numpy as np

from anymodal.media.picture_file import PictureFile, animated_error, damaged_error, image_cut_short
from anymodal.media.png import read_png
from anymodal.media.source import BMP, ICO, PNM, QOI, WEBP, Blob
from anymodal.media.tiff_tags import orientation

_CHUNKS = 100_000
_BAND = 1_000_000  # samples that are converted at once
_NOTE = rb"(?:#[^\n]*\n\s*)*"  # comments may stand before each number
_WHITE = rb"\d{1,5}|-?\d+(?:\.\d*)?(?:e[-+]?\d+)?"
_PNM = re.compile(
    rb"P([1-6f])\s+" + _NOTE + rb"(\d{1,9})\s+" + _NOTE + rb"(\d{1,9})\s"
    rb"(?:\s*" + _NOTE + rb"(" + _WHITE + rb")\s)?"
)


def read_webp(blob: Blob) -> PictureFile:
    """The header of a WebP file (RFC 9649, sections 2.3 to 2.7).

    Raises:
        ValueError: if it is cut short or animated.
    """
    data = blob.data
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise image_cut_short(blob, end)
    chunks = dict[bytes, bytes]()
    frames, at = 0, 12
    for _ in range(_CHUNKS):
        if at + 8 > end:
            break
        name, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > end:
            raise image_cut_short(blob)
        if name in (b"ICCP", b"EXIF", b"VP8X", b"VP8L", b"VP8 "):
            some = size if name in (b"ICCP", b"EXIF") else min(size, 10)
            chunks.setdefault(name, data[at + 8 : at + 8 + some])
        frames += name == b"ANMF"
        at += 8 + size + size % 2
    if frames > 1:
        raise animated_error(blob, WEBP)
    width, height = _webp_size(blob, chunks)
    return PictureFile(
        data,
        width,
        height,
        per_pixel=18,  # two canvases, a copy as bytes, the decoder's planes, and Pillow's own
        effort=45 * width * height,
        profile=chunks.get(b"ICCP", b""),
        orientation=orientation(chunks.get(b"EXIF", b"")),
    )


def _webp_size(blob: Blob, chunks: dict[bytes, bytes]) -> tuple[int, int]:
    if len(head := chunks.get(b"VP8X", b"")) == 10:
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if len(head := chunks.get(b"VP8L", b"")) >= 5:
        bits = int.from_bytes(head[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if len(head := chunks.get(b"VP8 ", b"")) == 10:
        width, height = struct.unpack_from("<HH", head, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise damaged_error(blob, WEBP, "it holds no picture")


def read_bmp(blob: Blob) -> PictureFile:
    """The header of a BMP file, of Windows or OS/2.

    Raises:
        ValueError: if it is cut short.
    """
    data = blob.data
    if len(data) < 26 or len(data) < 14 + (size := int.from_bytes(data[14:18], "little")):
        raise image_cut_short(blob)
    offset, kind = int.from_bytes(data[10:14], "little"), 0
    if size == 12:
        width, height, bits = struct.unpack_from("<HH2xH", data, 18)
    else:
        width, height, bits, kind = struct.unpack_from("<ii2xHI", data, 18)
    height = abs(height)
    if kind in (0, 3):
        end = offset + (width * bits + 31) // 32 * 4 * height
    else:
        end = offset + int.from_bytes(data[34:38], "little")
    if end > len(data):
        raise image_cut_short(blob, end)
    profile = b""
    if size == 124 and data[70:74] == b"DEBM":
        place, length = struct.unpack_from("<II", data, 14 + 112)
        if 14 + place + length > len(data):
            raise image_cut_short(blob, 14 + place + length)
        profile = data[14 + place : 14 + place + length]
    packed = kind in (1, 2)  # run lengths, which Pillow goes through in Python
    return PictureFile(
        data,
        width,
        height,
        per_pixel=4 + 3 * packed,
        effort=5 * width * height + (800 * len(data) + 100 * width * height) * packed,
        profile=profile,
    )


def read_pnm(blob: Blob) -> PictureFile:
    """The header of a PBM, PGM, PPM (netpbm's manual) or grey PFM file.

    Pillow is given values that it leaves as they are, since its own scaling is slow.

    Raises:
        ValueError: if it is cut short or damaged.
    """
    head = _PNM.match(blob.data)
    if head is None or (head[4] is None and head[1] not in b"14"):
        raise damaged_error(blob, PNM, "its header")
    kind = head[1]
    width, height = int(head[2]), int(head[3])
    start = head.end() if kind not in b"14" else head.end(3) + 1
    body = memoryview(blob.data)[start:]
    channels = 3 if kind in b"36" else 1
    pixels = width * height
    if kind == b"f":
        return _check_size(blob, start, 4 * pixels, PictureFile(blob.data, width, height, 4))
    if kind in b"14":
        size = (width + 7) // 8 * height if kind == b"4" else pixels
        file = PictureFile(blob.data, width, height, 1, effort=100 * (kind == b"1") * len(body))
        return _check_size(blob, start, size, file)
    white = int(head[4]) if head[4].isdigit() else 0
    if not 0 < white < 65536:
        raise damaged_error(blob, PNM, f"its white is {white}")
    top = 255 if white < 256 else 65535
    if kind in b"23":
        return PictureFile(
            b"P%b %d %d %d\n" % (kind, width, height, top) + bytes(body), width, height, 12,
            effort=120 * len(body), white=white if white != 255 else 0,
        )  # fmt: skip
    deep = top == 65535
    size = pixels * channels * (1 + deep)
    if len(body) < size:
        raise image_cut_short(blob, start + size)
    if deep and channels == 3:
        top, body, scale = 255, memoryview(_upper(body[:size], white)), 0
    else:
        scale = white if white != 255 else 0
    file = PictureFile(blob.data, width, height, 4 if channels == 3 else 1 + 3 * deep, white=scale)
    if white == top and not (deep and channels == 3):
        return file
    data = b"".join((b"P%b %d %d %d\n" % (kind, width, height, top), body[:size]))
    return replace(file, data=data, extra=2 * len(data))


def _upper(body: memoryview, white: int) -> bytes:
    """8 of 16 bits, the upper ones as Pillow takes them of other formats."""
    values = np.frombuffer(body, ">u2")
    upper = np.empty(len(values), np.uint8)
    for start in range(0, len(values), _BAND):
        band = values[start : start + _BAND].astype(np.uint32) * 65535 // white >> 8
        upper[start : start + _BAND] = band.clip(0, 255)
    return upper.tobytes()


def _check_size(blob: Blob, start: int, size: int, file: PictureFile) -> PictureFile:
    if len(blob.data) - start < size:
        raise image_cut_short(blob, start + size)
    return file


def read_qoi(blob: Blob) -> PictureFile:
    """The header of a QOI file (The Quite OK Image Format, version 1.0).

    Raises:
        ValueError: if it is cut short.
    """
    if len(blob.data) < 22 or not blob.data.endswith(b"\0\0\0\0\0\0\0\1"):
        raise image_cut_short(blob)
    width, height = struct.unpack_from(">II", blob.data, 4)
    pixels = width * height
    if blob.data[12] not in (3, 4):
        raise damaged_error(blob, QOI, f"{blob.data[12]} channels")
    effort = 20 * pixels + 350 * len(blob.data)
    return PictureFile(blob.data, width, height, per_pixel=12, effort=effort)


def read_ico(blob: Blob) -> PictureFile:
    """The largest picture of an icon.

    Raises:
        ValueError: if it is cut short or damaged.
    """
    data = blob.data
    count = int.from_bytes(data[4:6], "little")
    if len(data) < 6 + 16 * count:
        raise image_cut_short(blob)
    # Width, height, colours, reserved, planes, bits, then size and offset of the data.
    entries = [struct.unpack_from("<4B2H2I", data, 6 + 16 * index) for index in range(count)]
    end = max(entry[6] + entry[7] for entry in entries)
    if end > len(data):
        raise image_cut_short(blob, end)
    best = max(entries, key=lambda e: ((e[0] or 256) * (e[1] or 256), e[5]))
    inside = data[best[7] : best[7] + best[6]]
    if inside.startswith(b"\x89PNG"):
        return read_png(Blob(inside, blob.name))
    if len(inside) < 40 or inside[:4] != b"\x28\0\0\0":
        raise damaged_error(blob, ICO, "its picture")
    width, height = struct.unpack_from("<ii", inside, 4)
    if width < 1 or height < 2:
        raise damaged_error(blob, BMP, "its size")
    # A bitmap in an icon counts its mask, which lies below, in its height.
    alone = data[:4] + struct.pack("<H4B2H2I", 1, *best[:6], len(inside), 22) + inside
    return PictureFile(alone, width, height // 2, per_pixel=12, effort=20 * width * height)
