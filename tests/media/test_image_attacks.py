"""Images that are damaged, or made to cost much, are refused by their headers."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as pil

from anymodal.media import Depth, Image, Limits, Normal, load
from anymodal.media.color import matrix_profile
from tests.support.image_files import (
    FILES,
    P3_RED,
    SMOOTH,
    chunk,
    file_bytes,
    png_with,
)

# Good files with odd parts


def test_png_with_large_or_damaged_chunks_beside_the_pixels() -> None:
    text = zlib.compress(b"x" * 3_000_000)
    noise = random.Random(0).randbytes(3_000_000)
    for odd in (
        [chunk(b"zTXt", b"prompt\0\0" + text)],
        [chunk(b"iTXt", b"prompt\0\1\0\0\0" + text)],
        [chunk(b"zTXt", b"prompt\0\0" + text)] * 30,
        [chunk(b"tEXt", b"prompt\0" + b"x" * 5_000_000)],
        [chunk(b"tEXt", b"prompt\0x", crc=7)],
        [chunk(b"tIME", b"1234567", crc=7), chunk(b"gAMA", bytes(4), crc=1)],
        [chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))],
        [chunk(b"iCCP", b"x\0\0" + zlib.compress(noise, 1))],
        [chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2**26)))],
        [chunk(b"iCCP", b"x\0\0broken")],
        [chunk(b"eXIf", b"broken"), chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")],
        [chunk(b"bKGD", b""), chunk(b"pHYs", b"1"), chunk(b"iTXt", b""), chunk(b"zTXt", b"")],
        [chunk(b"prVt", noise)],
    ):
        assert np.array_equal(Image.load(png_with(*odd)).pixels, SMOOTH)
    large = matrix_profile((0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), 2.2)
    padded = struct.pack(">I", len(large) + 3_000_000) + large[4:] + noise
    red = png_with(
        chunk(b"iCCP", b"x\0\0" + zlib.compress(padded)), picture=pil.new("RGB", (2, 2), P3_RED)
    )
    assert Image.load(red).pixels[0, 0, 0] >= 250
    assert np.array_equal(Image.load(file_bytes("PNG") + b"trailer").pixels, SMOOTH)


def test_png_damaged_where_it_matters() -> None:
    good = file_bytes("PNG")
    at = good.index(b"IDAT")
    size = int.from_bytes(good[at - 4 : at], "big")
    for place in (at + 4 + size, 29, len(good) - 1):  # checksums of IDAT, IHDR and IEND
        bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        with pytest.raises(ValueError, match="checksum of I.* is wrong"):
            load(bad)


def test_jpeg_with_much_beside_the_pixels() -> None:
    good = file_bytes("JPEG")
    plain = Image.load(good)
    odd = b"\xff\xe1" + struct.pack(">H", 60_000) + b"Exif\0\0" + bytes(59_992)
    for extra in (odd * 300, b"\xff\xfe\0\2" * 3000, b"\xff\xe2\0\x10ICC_PROFILE\0\1\2"):
        assert Image.load(good[:2] + extra + good[2:]) == plain
    assert Image.load(good + b"MP4 of a live photo") == plain
    with pytest.raises(ValueError, match="12 bits per channel, and 8 are read"):
        load(good.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"))


def test_tiff_pages() -> None:
    second = pil.fromarray(255 - SMOOTH)
    with pytest.raises(ValueError, match="holds 2 pages, and a picture is one; save each"):
        load(file_bytes("TIFF", save_all=True, append_images=[second]))
    small = second.resize((9, 5))
    small.encoderinfo = {"tiffinfo": {254: 1}}  # a reduced-resolution version
    main = pil.fromarray(SMOOTH)
    data = file_bytes("TIFF", main, save_all=True, append_images=[small])
    assert np.array_equal(Image.load(data).pixels, SMOOTH)


def moving(fmt: str) -> bytes:
    return file_bytes(fmt, save_all=True, append_images=[pil.fromarray(255 - SMOOTH)])


def tiff(tags: dict[int, tuple[int, int, int]], rest: bytes = b"", following: int = 0) -> bytes:
    rows = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + struct.pack("<I", following) + rest


SIDE = {256: (3, 1, 8), 257: (3, 1, 8), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is HEIC, which is not read here; convert it"),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "HEIC"),
        (b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc", "HEIC"),
        (b"\0\0\0\x18ftypheim\0\0\0\0mif1heim", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmsf1\0\0\0\0msf1hevc", "HEIC"),
        (b"%PDF-1.7\n%\xe2\xe3", "is PDF.*pdftoppm"),
        (b"8BPS\0\1", "is PSD"),
        (b"\xff\x0a\xfa\x7f", "is JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "is JPEG XL"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is SVG"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg width='3'/>", "is SVG"),
        (b"\xef\xbb\xbf <!doctype HTML><html>404", "a web page"),
        (b"<html><body>Sign in", "a web page"),
        (b"<?xml version='1.0'?><gpx>", "is XML"),
        (b"PK\3\4\x14\0", "a ZIP archive"),
        (b"\x1f\x8b\x08\0", "a compressed archive"),
        (b"%!PS-Adobe-3.0", "is PostScript"),
        (b"v/1\1\2\0\0\0", "is OpenEXR"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera's raw picture"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera's raw picture"),
        (tiff(SIDE | {50706: (1, 4, 0x401)}), "a camera's raw picture"),
        (tiff(SIDE | {254: (4, 1, 1), 330: (4, 1, 8)}), "a camera's raw picture"),
        (moving("WEBP"), "animated WebP"),
        (moving("AVIF"), "animated AVIF"),
        (moving("PNG"), "animated PNG"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named(data: bytes, message: str) -> None:
    for kind in (None, "image", "depth"):
        with pytest.raises(ValueError, match=message):
            load(data + bytes(40), kind=kind)


# Attacks


def scans(side: int, count: int) -> bytes:
    """A progressive JPEG whose last scan, of a few bytes, stands there many times."""
    data = file_bytes("JPEG", pil.new("RGB", (side, side)), progressive=True, subsampling=0)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def flat(fmt: str, side: int, mode: str = "L", **options: Any) -> bytes:
    return file_bytes(fmt, pil.new(mode, (side, side)), **options)


def jpeg2000(layers: int = 1, precincts: bool = False, tiles: bool = False) -> bytes:
    data = bytearray(flat("JPEG2000", 1500, "RGB", no_jp2=True))
    at = data.index(b"\xff\x52")
    struct.pack_into(">H", data, at + 6, layers)
    if tiles:
        struct.pack_into(">II", data, 4 + 2 + 2 + 16, 2, 2)
    if precincts:
        levels = data[at + 9] + 1
        data[at + 4] |= 1
        data[at + 3] += levels
        data[at + 14 : at + 14] = bytes(levels)
    return bytes(data)


def avif_that_lies() -> bytes:
    data = bytearray(flat("AVIF", 512, "RGB"))
    struct.pack_into(">II", data, data.index(b"ispe") + 8, 64, 64)
    return bytes(data)


def avif_of_many_extents() -> bytes:
    data = bytearray(flat("AVIF", 64, "RGB"))
    at = data.index(b"iloc")
    data[at + 8 : at + 12] = b"\0\0\xff\xff"  # no widths, so that extents take no room
    return bytes(data)


def canvas(width: int, height: int) -> bytes:
    data = bytearray(flat("GIF", 16))
    struct.pack_into("<HH", data, 6, width, height)
    return bytes(data)


OFFSETS = struct.pack("<I", 8) * 300_000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (partial(scans, 512, 30_000), "s to decode"),
        (partial(scans, 2000, 900), "far longer than a picture of its size should|s to decode"),
        (partial(jpeg2000, layers=65_535), "to decode"),
        (partial(jpeg2000, precincts=True), "to decode"),
        (partial(jpeg2000, tiles=True), "to decode"),
        (canvas(65_535, 65_535), "claims a canvas of 65535×65535"),
        (partial(flat, "GIF", 8001), "max_pixels"),
        (avif_that_lies, "coded picture is larger than it says"),
        (avif_of_many_extents, "damaged"),
        (b"qoif" + struct.pack(">IIBB", 9000, 7000, 3, 0) + bytes(15) + b"\1", "to decode"),
        (tiff(SIDE | {322: (4, 1, 65_536), 323: (4, 1, 65_536), 324: (4, 1, 8), 325: (4, 1, 9)}),
         "to decode"),
        (tiff(SIDE | {256: (4, 1, 1), 257: (4, 1, 4_000_000), 322: (4, 1, 4096), 323: (4, 1, 16),
                      324: (4, 250_000, 200), 325: (4, 250_000, 200)}, OFFSETS), "s to decode"),
        (tiff(SIDE | {257: (4, 1, 9_000_000), 273: (4, 1, 8)}), "damaged|cut short"),
        (tiff(SIDE | {273: (4, 1, 8), 278: (4, 1, 1)}), "names 1 of 8 strips"),
        (tiff(SIDE, following=8), "names 0 of 1 strips"),
        (tiff(dict.fromkeys(range(300, 4300), (7, 1000000, 100)), OFFSETS), "has no size"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
         + chunk(b"teSt", b"") * 1_000_001, "more than 1,000,000 chunks"),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 60_000, "more than 50,000 segments"),
    ],
)  # fmt: skip
def test_attacks_are_refused_by_their_headers(
    data: bytes | Callable[[], bytes], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(data() if callable(data) else data, kind="image")


def test_arrays_and_temporaries_are_held_against_the_limit() -> None:
    tight = Limits(max_decoded_bytes=3_000_000)
    data = flat("PNG", 900, "RGB")
    assert Image.load(data, limits=tight).pixels.nbytes == 2_430_000
    for kind in (Depth, Normal):
        fits = 3_000_000 // (12 if kind is Normal else 4)
        with pytest.raises(ValueError, match="max_decoded_bytes"):
            kind.load(flat("PNG", int(fits**0.5) + 1), limits=tight)
        assert kind.load(flat("PNG", int(fits**0.5)), limits=tight)


MEMORY = """
    import resource, sys, time
    import numpy, PIL.Image, av, PIL.ImageCms
    from anymodal.media import load
    def peak():
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) // 1024 for line in lines if "VmHWM" in line)
    before, start = peak(), time.process_time()
    try: load(sys.argv[1], kind=sys.argv[2])
    except ValueError: pass
    print(peak() - before, time.process_time() - start)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("data", "kind", "most"),
    [
        (partial(flat, "GIF", 8000), "image", 300),
        (partial(flat, "PNG", 3000, "RGB"), "normal", 200),
        (partial(flat, "PNG", 6000), "normal", 20),
        (partial(flat, "JPEG", 3000, "CMYK", progressive=True), "image", 180),
        (partial(flat, "WEBP", 2000, "RGB"), "image", 100),
        (partial(flat, "AVIF", 2000, "RGB", speed=10), "image", 90),
        (partial(flat, "TIFF", 6000, "1", compression="group4"), "image", 190),
    ],
)
def test_decoding_takes_no_more_than_announced(
    data: Callable[[], bytes], kind: str, most: int, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(data())
    code = textwrap.dedent(MEMORY)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a"), kind], capture_output=True, text=True
    )
    used, seconds = done.stdout.split()
    assert int(used) <= most and float(seconds) < 10


# Files cut short, and wild ones


@pytest.mark.parametrize("name", FILES)
def test_every_cut_is_noticed(name: str) -> None:
    data = FILES[name]
    cuts = {*range(1, len(data), max(1, len(data) // 60)), *range(len(data) - 12, len(data))}
    for cut in sorted(cuts):
        with pytest.raises(ValueError, match=r"\w{3}"):
            load(data[:cut], kind="image")


def test_flipped_bytes_never_crash() -> None:
    draw = random.Random(5)
    names = sorted(FILES)
    for _ in range(1500):
        data = bytearray(FILES[draw.choice(names)])
        for _ in range(draw.choice((1, 2, 6))):
            reach = len(data) if draw.random() < 0.3 else min(len(data), 300)
            data[draw.randrange(reach)] = draw.choice((0, 255, draw.randrange(256)))
        try:
            load(bytes(data), kind=draw.choice(("image", "depth", "thermal", "normal")))
        except ValueError as error:
            assert len(str(error)) > 20 and "0x" not in str(error)


def test_a_gif_of_an_empty_canvas_is_refused() -> None:
    """Pillow joins equal frames, so that an animation may come as one picture on its canvas."""
    frames = [pil.new("P", (32, 32), number) for number in range(40)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=50)
    data = bytearray(buffer.getvalue())
    data[6:10] = struct.pack("<HH", 8000, 8000)
    with pytest.raises(ValueError, match="a canvas of 8000×8000 pixels around a picture of 1,024"):
        load(bytes(data))
    data[6:10] = struct.pack("<HH", 300, 300)
    assert load(bytes(data)).pixels.shape == (300, 300, 3)
