"""Still pictures of every format: colours, good files with odd chunks, attacks, files cut short."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as pil
from PIL import ImageCms, ImageOps

from anymodal.media import Depth, Image, Limits, Normal, Thermal, load
from anymodal.media.color import ADOBE_RGB, coded_profile, matrix_profile

SMOOTH = np.asarray(
    pil.fromarray(
        np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    ).resize((37, 23), pil.Resampling.BICUBIC)
)  # fmt: skip
GREY = np.ascontiguousarray(SMOOTH[..., 0])
DEEP = GREY.astype(np.uint16) * 257
P3_RED = (234, 51, 35)  # in Display P3: sRGB's own red


def written(fmt: str, picture: Any = SMOOTH, **options: Any) -> bytes:
    picture = pil.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    buffer = io.BytesIO()
    picture.save(buffer, fmt, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes, crc: int | None = None) -> bytes:
    sum_ = zlib.crc32(name + content) if crc is None else crc
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", sum_)


def png_with(*chunks: bytes, picture: Any = SMOOTH, **options: Any) -> bytes:
    data = written("PNG", picture, **options)
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
    name: written(name.split()[0], picture, **options)
    for name, (picture, options) in (EXACT | LOSSY).items()
}


@pytest.mark.parametrize("name", FILES)
def test_pictures_of_every_format(name: str, tmp_path: Path) -> None:
    picture = (EXACT | LOSSY)[name][0]
    expected = picture if isinstance(picture, np.ndarray) else np.asarray(picture.convert("RGB"))
    expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=2)
    path = tmp_path / f"a.{name.split()[0].lower().replace('jpeg2000', 'jp2')}"
    path.write_bytes(FILES[name])
    loaded = load(path, kind="image" if "GIF" in name else None)
    assert isinstance(loaded, Image) and loaded == load(FILES[name], kind="image")
    off = np.abs(loaded.pixels.astype(int) - expected)
    assert off.max() == 0 if name in EXACT else off.mean() < 6


def test_a_phones_jpeg_of_several_pictures_gives_the_first() -> None:
    several = written("MPO", SMOOTH, save_all=True, append_images=[pil.fromarray(255 - SMOOTH)])
    assert np.abs(Image.load(several).pixels.astype(int) - SMOOTH).mean() < 6


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_upright_in_all_eight_directions(fmt: str) -> None:
    for turn in range(1, 9):
        exif = pil.Exif()
        exif[0x0112] = turn
        data = written(fmt, exif=exif)
        opened = pil.open(io.BytesIO(data))
        opened.load()  # TIFF stands upright by this, the others by the next
        upright = opened if fmt == "TIFF" else ImageOps.exif_transpose(opened)
        assert np.array_equal(Image.load(data).pixels, np.asarray(upright.convert("RGB"))), turn


def test_deep_grey_and_floats() -> None:
    for fmt, options in (("PNG", {}), ("TIFF", {}), ("PPM", {}), ("JPEG2000", {}),
                         ("TIFF", {"compression": "tiff_lzw"})):  # fmt: skip
        data = written(fmt, DEEP, **options)
        assert np.array_equal(Depth.load(data).values, DEEP)
        assert np.array_equal(Thermal.load(data).values, GREY)
        assert np.array_equal(Image.load(data).pixels[..., 1], GREY)
    floats = GREY.astype(np.float32) / 7 - 3
    for data in (written("TIFF", floats), written("TIFF", floats, compression="tiff_lzw"),
                 b"Pf\n37 23\n-1.0\n" + floats[::-1].astype("<f4").tobytes()):  # fmt: skip
        assert np.array_equal(Depth.load(data).values, floats)
        with pytest.raises(ValueError, match="holds floats, of which none is known to be white"):
            Image.load(data)
    with pytest.raises(ValueError, match="integers of 32 bits"):
        Image.load(written("TIFF", GREY.astype(np.int32)))
    assert np.array_equal(Depth.load(written("TIFF", GREY.astype(np.int32))).values, GREY)


def test_netpbm_of_any_white() -> None:
    twelve = (DEEP >> 4).astype(">u2")
    data = b"P5 # a comment\n37 23\n4095\n" + twelve.tobytes()
    assert np.array_equal(Depth.load(data).values, twelve)
    assert np.array_equal(Image.load(data).pixels[..., 0], GREY)
    five = (SMOOTH >> 3).tobytes()
    assert np.array_equal(Image.load(b"P6 37 23 31\n" + five).pixels, (SMOOTH >> 3) * 255.0 // 31)
    wide = (SMOOTH.astype(">u2") * 257).tobytes()
    assert np.array_equal(Image.load(b"P6 37 23 65535 " + wide).pixels, SMOOTH)
    text = b"P3\n# made by hand\n37 23\n255\n" + " ".join(map(str, SMOOTH.ravel())).encode()
    assert np.array_equal(Image.load(text).pixels, SMOOTH)
    assert Image.load(b"P1\n2 1\n01\n").pixels[0, :, 0].tolist() == [255, 0]


def test_white_is_zero_in_sixteen_bits() -> None:
    data = written("TIFF", DEEP, tiffinfo={262: 0})
    expected = 255 - GREY if pil.open(io.BytesIO(data)).tag_v2[262] == 0 else GREY
    assert np.array_equal(Image.load(data).pixels[..., 0], expected)


# Colours


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_an_embedded_profile_is_followed(fmt: str) -> None:
    lossless = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
    options = lossless.get(fmt, {})
    red = written(fmt, pil.new("RGB", (16, 16), P3_RED), icc_profile=p3_profile(), **options)
    assert np.abs(Image.load(red).pixels[4, 4].astype(int) - (255, 0, 0)).max() <= 3
    plain = Image.load(written(fmt, **options))
    assert Image.load(written(fmt, icc_profile=srgb_profile(), **options)) == plain
    for broken in (b"no profile", srgb_profile()[:200], grey_profile(1.8), ink_profile()):
        assert Image.load(written(fmt, icc_profile=broken, **options)) == plain


def test_profiles_of_grey_alpha_palette_and_sixteen_bits() -> None:
    level = pil.new("L", (8, 8), 128)
    linear = Image.load(written("PNG", level, icc_profile=grey_profile(1.0))).pixels[0, 0]
    assert linear.tolist() == [188, 188, 188]
    deep = written("PNG", np.full((8, 8), 0x8000, np.uint16), icc_profile=grey_profile(1.0))
    assert Image.load(deep).pixels[0, 0].tolist() == [188, 188, 188]
    both = Image.load(written("PNG", level, icc_profile=p3_profile())).pixels[0, 0]
    assert both.tolist() == [128, 128, 128]  # a profile of colours, followed for a grey picture
    half = pil.new("RGBA", (8, 8), (*P3_RED, 128))
    clear = Image.load(written("PNG", half, icc_profile=p3_profile())).pixels[0, 0]
    assert np.abs(clear.astype(int) - (255, 127, 127)).max() <= 1
    few = pil.new("RGB", (8, 8), P3_RED).quantize(4)
    found = Image.load(written("PNG", few, icc_profile=p3_profile())).pixels[0, 0]
    assert found.tolist() == [255, 0, 0]


@pytest.mark.parametrize("fmt", ["JPEG", "TIFF"])
def test_inks_by_their_profile(fmt: str) -> None:
    inks = pil.new("CMYK", (16, 16), (255, 0, 0, 0))
    dark = written(fmt, inks, icc_profile=ink_profile())
    assert Image.load(dark).pixels[4, 4].max() <= 3
    light = written(fmt, pil.new("CMYK", (16, 16), (0, 255, 255, 255)), icc_profile=ink_profile())
    assert Image.load(light).pixels[4, 4].min() >= 252
    assert Image.load(written(fmt, inks)).pixels[4, 4].tolist() == pytest.approx(
        [0, 255, 255], abs=2
    )


def test_lab_becomes_srgb() -> None:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    stored = ImageCms.profileToProfile(pil.fromarray(SMOOTH), srgb, lab, outputMode="LAB")
    pixels = Image.load(written("TIFF", stored)).pixels
    assert np.abs(pixels.astype(int) - SMOOTH).mean() < 2


def chromaticities(corners: Any) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in corners)))


def test_what_png_chunks_say_of_colour() -> None:
    gamma = chunk(b"gAMA", struct.pack(">I", 45_455))
    srgb = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    p3 = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    for same in ((gamma,), (gamma, chromaticities(srgb)), (chromaticities(p3),),
                 (chunk(b"sRGB", b"\0"), linear), (chunk(b"gAMA", bytes(4)),),
                 (chunk(b"cICP", b"\1\x0d\0\1"), linear), (chunk(b"gAMA", b"\0"), ),
                 (chromaticities((0,) * 8), linear[:8] + b"\0\0\0\1" + linear[12:])):  # fmt: skip
        assert np.array_equal(Image.load(png_with(*same)).pixels, SMOOTH)
    red = pil.new("RGB", (8, 8), P3_RED)
    for wide in ((chromaticities(p3), gamma), (chunk(b"cICP", b"\x0c\x0d\0\1"),)):
        found = Image.load(png_with(*wide, picture=red)).pixels[0, 0]
        assert np.abs(found.astype(int) - (255, 0, 0)).max() <= 8
    coded_first = png_with(chunk(b"cICP", b"\1\x0d\0\1"), picture=red, icc_profile=p3_profile())
    assert tuple(Image.load(coded_first).pixels[0, 0]) == P3_RED
    profile_first = png_with(linear, picture=red, icc_profile=p3_profile())
    assert Image.load(profile_first).pixels[0, 0].tolist() == [255, 0, 0]
    for picture in (pil.new("L", (8, 8), 128), pil.new("RGB", (8, 8), (128,) * 3)):
        found = Image.load(png_with(linear, picture=picture)).pixels[0, 0]
        assert np.abs(found.astype(int) - 188).max() <= 1


def test_high_dynamic_range_is_shown_up_to_paper_white() -> None:
    for transfer, white in ((16, 148), (18, 191)):  # signals of 203 cd/m²
        for level in (white, 255):
            data = png_with(chunk(b"cICP", bytes((9, transfer, 0, 1))),
                            picture=pil.new("RGB", (8, 8), (level,) * 3))  # fmt: skip
            assert Image.load(data).pixels[0, 0].min() >= 252
    assert coded_profile(2, 2) is None and coded_profile(1, 1) == b""


def test_a_cameras_adobe_rgb_is_told_by_exif() -> None:
    exif = pil.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    told = pil.new("RGB", (16, 16), (200, 80, 60))
    declared = Image.load(written("JPEG", told, exif=exif, quality=100)).pixels[4, 4]
    embedded = Image.load(
        written("JPEG", told, icc_profile=matrix_profile(*ADOBE_RGB), quality=100)
    ).pixels[4, 4]
    assert declared.tolist() == embedded.tolist() and declared[0] > 215


def test_values_that_are_no_colours_are_not_managed() -> None:
    linear = grey_profile(1.0)
    for fmt in ("PNG", "TIFF"):
        data = written(fmt, GREY, icc_profile=linear)
        assert np.array_equal(Depth.load(data).values, GREY)
        assert np.array_equal(Thermal.load(data).values, GREY)
        assert not np.array_equal(Image.load(data).pixels[..., 0], GREY)
        facing = Normal.load(written(fmt, SMOOTH, icc_profile=p3_profile()))
        assert np.array_equal(facing._shown, SMOOTH)
    managed = png_with(chunk(b"gAMA", struct.pack(">I", 100_000)), picture=DEEP)
    assert np.array_equal(Depth.load(managed).values, DEEP)


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
    assert np.array_equal(Image.load(written("PNG") + b"trailer").pixels, SMOOTH)


def test_png_damaged_where_it_matters() -> None:
    good = written("PNG")
    at = good.index(b"IDAT")
    size = int.from_bytes(good[at - 4 : at], "big")
    for place in (at + 4 + size, 29, len(good) - 1):  # checksums of IDAT, IHDR and IEND
        bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        with pytest.raises(ValueError, match="checksum of I.* is wrong"):
            load(bad)


def test_jpeg_with_much_beside_the_pixels() -> None:
    good = written("JPEG")
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
        load(written("TIFF", save_all=True, append_images=[second]))
    small = second.resize((9, 5))
    small.encoderinfo = {"tiffinfo": {254: 1}}  # a reduced-resolution version
    main = pil.fromarray(SMOOTH)
    data = written("TIFF", main, save_all=True, append_images=[small])
    assert np.array_equal(Image.load(data).pixels, SMOOTH)


def moving(fmt: str) -> bytes:
    return written(fmt, save_all=True, append_images=[pil.fromarray(255 - SMOOTH)])


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
    data = written("JPEG", pil.new("RGB", (side, side)), progressive=True, subsampling=0)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def flat(fmt: str, side: int, mode: str = "L", **options: Any) -> bytes:
    return written(fmt, pil.new(mode, (side, side)), **options)


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
        (scans(512, 30_000), "s to decode"),
        (scans(2000, 900), "far longer than a picture of its size should|s to decode"),
        (jpeg2000(layers=65_535), "to decode"),
        (jpeg2000(precincts=True), "to decode"),
        (jpeg2000(tiles=True), "to decode"),
        (canvas(65_535, 65_535), "claims a canvas of 65535×65535"),
        (flat("GIF", 8001), "max_pixels"),
        (avif_that_lies(), "coded picture is larger than it says"),
        (avif_of_many_extents(), "damaged"),
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
def test_attacks_are_refused_by_their_headers(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(data, kind="image")


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
        (flat("GIF", 8000), "image", 300),
        (flat("PNG", 3000, "RGB"), "normal", 200),
        (flat("PNG", 6000), "normal", 20),
        (flat("JPEG", 3000, "CMYK", progressive=True), "image", 180),
        (flat("WEBP", 2000, "RGB"), "image", 100),
        (flat("AVIF", 2000, "RGB", speed=10), "image", 90),
        (flat("TIFF", 6000, "1", compression="group4"), "image", 190),
    ],
)
def test_decoding_takes_no_more_than_announced(
    data: bytes, kind: str, most: int, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(data)
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
