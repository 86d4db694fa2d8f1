"""Image files of every format, as bytes."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image as pil
from PIL import ImageCms

SMOOTH = np.asarray(
    pil.fromarray(
        np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    ).resize((37, 23), pil.Resampling.BICUBIC)
)  # fmt: skip

GREY = np.ascontiguousarray(SMOOTH[..., 0])

DEEP = GREY.astype(np.uint16) * 257

P3_RED = (234, 51, 35)  # in Display P3: sRGB's own red


def file_bytes(fmt: str, picture: Any = SMOOTH, **options: Any) -> bytes:
    picture = pil.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    buffer = io.BytesIO()
    picture.save(buffer, fmt, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes, crc: int | None = None) -> bytes:
    sum_ = zlib.crc32(name + content) if crc is None else crc
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", sum_)


def png_with(*chunks: bytes, picture: Any = SMOOTH, **options: Any) -> bytes:
    data = file_bytes("PNG", picture, **options)
    return data[:33] + b"".join(chunks) + data[33:]


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def p3_profile() -> bytes:
    """The profile of sRGB with other primaries, and still called sRGB."""
    raw = bytearray(srgb_profile())
    columns = {
        b"rXYZ": (0.51512, 0.2412, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.1571, 0.06657, 0.78407),
    }
    for index in range(struct.unpack_from(">I", raw, 128)[0]):
        name, offset, _ = struct.unpack_from(">4sII", raw, 132 + 12 * index)
        if name in columns:
            struct.pack_into(">3i", raw, offset + 8, *(round(v * 65536) for v in columns[name]))
    return bytes(raw)


def profile_of(space: bytes, tags: dict[bytes, bytes], version: int = 0x02400000) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    pcs, kind = (b"XYZ ", b"mntr") if space == b"GRAY" else (b"Lab ", b"prtr")
    white = struct.pack(">3i", 63190, 65536, 54061)
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x12s48x", 128 + len(table) + len(body), version, kind, space, pcs,
        b"acsp", white,
    )  # fmt: skip
    return head + table + body


def grey_profile(gamma: float) -> bytes:
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = struct.pack(">4sIIH", b"curv", 0, 1, round(gamma * 256))
    return profile_of(b"GRAY", {b"wtpt": white, b"kTRC": curve})


def ink_profile() -> bytes:
    """CMYK in which cyan alone makes things darker, and no ink is seen of the others."""
    lightness = [255 if corner < 8 else 0 for corner in range(16)]  # cyan moves slowest
    identity = bytes(range(256))
    lut = (
        b"mft1\0\0\0\0"
        + bytes((4, 3, 2, 0))
        + struct.pack(">9i", *np.eye(3, dtype=int).ravel() * 65536)
    )
    lut += identity * 4 + b"".join(bytes((level, 128, 128)) for level in lightness) + identity * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    return profile_of(b"CMYK", {b"wtpt": white, b"A2B0": lut})


# What is read


EXACT: dict[str, tuple[Any, dict[str, Any]]] = {
    "PNG": (SMOOTH, {}),
    "PNG LA": (pil.fromarray(GREY).convert("LA"), {}),
    "TIFF": (SMOOTH, {}),
    "TIFF lzw": (SMOOTH, {"compression": "tiff_lzw"}),
    "TIFF deflate": (SMOOTH, {"compression": "tiff_adobe_deflate"}),
    "TIFF packbits": (SMOOTH, {"compression": "packbits"}),
    "TIFF big": (SMOOTH, {"big_tiff": True}),
    "TIFF strips": (SMOOTH, {"tiffinfo": {278: 5}}),
    "TIFF l": (GREY, {}),
    "TIFF palette": (pil.fromarray(SMOOTH).quantize(200), {}),
    "TIFF 1": (pil.fromarray(GREY).convert("1"), {}),
    "TIFF g4": (pil.fromarray(GREY).convert("1"), {"compression": "group4"}),
    "TIFF cmyk": (pil.fromarray(SMOOTH).convert("CMYK"), {}),
    "BMP": (SMOOTH, {}),
    "BMP l": (GREY, {}),
    "BMP 1": (pil.fromarray(GREY).convert("1"), {}),
    "BMP palette": (pil.fromarray(SMOOTH).quantize(200), {}),
    "WEBP": (SMOOTH, {"lossless": True}),
    "JPEG2000": (SMOOTH, {}),
    "JPEG2000 codestream": (SMOOTH, {"no_jp2": True}),
    "JPEG2000 tiles": (SMOOTH, {"tile_size": (16, 16)}),
    "PPM": (SMOOTH, {}),
    "PPM l": (GREY, {}),
    "PPM 1": (pil.fromarray(GREY).convert("1"), {}),
    "QOI": (SMOOTH, {}),
    "ICO": (SMOOTH, {"sizes": [(37, 23)]}),
    "ICO bmp": (SMOOTH[:, :32], {"sizes": [(32, 23)], "bitmap_format": "bmp"}),
    "GIF": (pil.fromarray(SMOOTH).quantize(200), {}),
}  # fmt: skip

LOSSY: dict[str, tuple[Any, dict[str, Any]]] = {
    "JPEG": (SMOOTH, {"quality": 95, "subsampling": 0}),
    "JPEG progressive": (SMOOTH, {"quality": 95, "subsampling": 0, "progressive": True}),
    "TIFF jpeg": (SMOOTH, {"compression": "jpeg", "quality": 95}),
    "AVIF": (SMOOTH, {"quality": 95, "subsampling": "4:4:4"}),
    "WEBP lossy": (SMOOTH, {"quality": 95}),
    "JPEG2000 lossy": (SMOOTH, {"irreversible": True}),
}

FILES = {
    name: file_bytes(name.split()[0], picture, **options)
    for name, (picture, options) in (EXACT | LOSSY).items()
}
