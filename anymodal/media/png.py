"""PNG files: their chunks (W3C, PNG third edition), and what their colours mean."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from anymodal.media.color import coded_profile, matrix_profile
from anymodal.media.limits import MediaError
from anymodal.media.picture_file import PictureFile, animated_error, damaged_error, image_cut_short
from anymodal.media.source import PNG, Blob
from anymodal.media.tiff_tags import orientation

_CHUNKS = 1_000_000  # more than an encoder makes of any picture within the limits
_PROFILE = 32 * 2**20  # bytes, decompressed; the largest in use have some ten million
_SRGB_GAMMA = 45_455  # what the standard has writers of sRGB say: 1 / 2.2
_SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_CHANNELS = {0: 1, 2: 4, 3: 1, 4: 4, 6: 4}  # bytes of a pixel in Pillow, by colour type


def read_png(blob: Blob) -> PictureFile:
    """The header of a PNG file; its data without ancillary chunks, but for transparency.

    Texts of any size and damage in ancillary chunks do not matter to the pixels.

    Raises:
        ValueError: if it is cut short, animated, or damaged where it matters.
    """
    parts, about = list[bytes | memoryview]([blob.data[:8]]), dict[bytes, bytes]()
    name = b""
    for name, chunk in _chunks(blob):
        ancillary = bool(name[0] & 0x20)  # a lower-case letter
        if name == b"IDAT" or (not ancillary or (name not in about and len(about) < 64)):
            # Over name and content, without the length (PNG, section 5.5).
            sound = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
            if not sound and not ancillary:
                raise damaged_error(blob, PNG, f"the checksum of {name.decode('ascii')} is wrong")
            if sound and name != b"IDAT":
                about.setdefault(name, bytes(chunk[8:-4]))
            if sound and (not ancillary or name == b"tRNS"):
                parts.append(chunk)
    head = about.get(b"IHDR", b"")
    if len(head) != 13:
        raise damaged_error(blob, PNG, "it has no header")
    if int.from_bytes(about.get(b"acTL", b"")[:4], "big") > 1:
        raise animated_error(blob, PNG)
    width, height, depth, kind = struct.unpack_from(">IIBB", head)
    per_pixel = _CHANNELS.get(kind, 4) * (2 if depth == 16 and kind == 0 else 1)
    return PictureFile(
        b"".join(parts),
        width,
        height,
        per_pixel,
        effort=25 * width * height,
        profile=_profile(about, grey=kind in (0, 4)),
        orientation=orientation(about.get(b"eXIf", b"")),
        error=None if name == b"IEND" else image_cut_short(blob),
    )


def _chunks(blob: Blob) -> Iterator[tuple[bytes, memoryview]]:
    """Each whole chunk up to IEND: its name, and all of its bytes."""
    data, at = memoryview(blob.data), 8
    for _ in range(_CHUNKS):
        size = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + size
        if end > len(data):
            return
        name = bytes(data[at + 4 : at + 8])
        if not name.isalpha():
            raise damaged_error(blob, PNG, "a chunk has no name")
        yield name, data[at:end]
        if name == b"IEND":
            return
        at = end
    raise MediaError(f"{blob.name} is PNG of more than {_CHUNKS:,} chunks; save it anew")


def _profile(about: dict[bytes, bytes], grey: bool) -> bytes:
    """An ICC profile of what the chunks say of colour; nothing for sRGB.

    Of several statements the standard's order of trust decides, as in browsers: cICP, iCCP, sRGB,
    then gAMA and cHRM.
    """
    codes = about.get(b"cICP", b"")
    if len(codes) == 4 and codes[2:] == b"\0\1":  # RGB of full range
        coded_icc = coded_profile(codes[0], codes[1])
        if coded_icc is not None:
            return coded_icc
    if b"iCCP" in about:
        packed = about[b"iCCP"].partition(b"\0")[2][1:]
        unpack = zlib.decompressobj()
        try:
            profile = unpack.decompress(packed, _PROFILE)  # bounded: it may be a zip bomb
        except zlib.error:
            profile = b""
        if unpack.eof:
            return profile
    if b"sRGB" in about or b"gAMA" not in about:
        return b""
    gamma = int.from_bytes(about[b"gAMA"], "big")
    points = about.get(b"cHRM", b"")
    corners = struct.unpack(">8I", points) if len(points) == 32 and not grey else _SRGB_POINTS
    near = all(abs(a - b) <= 200 for a, b in zip(corners, _SRGB_POINTS, strict=True))
    if near and abs(gamma - _SRGB_GAMMA) <= 500:
        return b""
    if not 10_000 <= gamma <= 1_000_000:  # nobody's; a broken statement is none
        return b""
    xy = [corner / 100_000 for corner in corners]
    return matrix_profile(xy, 100_000 / gamma)
