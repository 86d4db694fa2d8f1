"""Images of every format come out as others see them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as pil
from PIL import ImageCms, ImageOps

from anymodal.media import Depth, Image, Normal, Thermal, load
from anymodal.media.color import ADOBE_RGB, coded_profile, matrix_profile
from tests.support.image_files import (
    DEEP,
    EXACT,
    FILES,
    GREY,
    LOSSY,
    P3_RED,
    SMOOTH,
    chunk,
    file_bytes,
    grey_profile,
    ink_profile,
    p3_profile,
    png_with,
    srgb_profile,
)


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
    several = file_bytes("MPO", SMOOTH, save_all=True, append_images=[pil.fromarray(255 - SMOOTH)])
    assert np.abs(Image.load(several).pixels.astype(int) - SMOOTH).mean() < 6


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_upright_in_all_eight_directions(fmt: str) -> None:
    for turn in range(1, 9):
        exif = pil.Exif()
        exif[0x0112] = turn
        data = file_bytes(fmt, exif=exif)
        opened = pil.open(io.BytesIO(data))
        opened.load()  # TIFF stands upright by this, the others by the next
        upright = opened if fmt == "TIFF" else ImageOps.exif_transpose(opened)
        assert np.array_equal(Image.load(data).pixels, np.asarray(upright.convert("RGB"))), turn


def test_deep_grey_and_floats() -> None:
    for fmt, options in (("PNG", {}), ("TIFF", {}), ("PPM", {}), ("JPEG2000", {}),
                         ("TIFF", {"compression": "tiff_lzw"})):  # fmt: skip
        data = file_bytes(fmt, DEEP, **options)
        assert np.array_equal(Depth.load(data).values, DEEP)
        assert np.array_equal(Thermal.load(data).values, GREY)
        assert np.array_equal(Image.load(data).pixels[..., 1], GREY)
    floats = GREY.astype(np.float32) / 7 - 3
    for data in (file_bytes("TIFF", floats), file_bytes("TIFF", floats, compression="tiff_lzw"),
                 b"Pf\n37 23\n-1.0\n" + floats[::-1].astype("<f4").tobytes()):  # fmt: skip
        assert np.array_equal(Depth.load(data).values, floats)
        with pytest.raises(ValueError, match="holds floats, of which none is known to be white"):
            Image.load(data)
    with pytest.raises(ValueError, match="integers of 32 bits"):
        Image.load(file_bytes("TIFF", GREY.astype(np.int32)))
    assert np.array_equal(Depth.load(file_bytes("TIFF", GREY.astype(np.int32))).values, GREY)


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
    data = file_bytes("TIFF", DEEP, tiffinfo={262: 0})
    expected = 255 - GREY if pil.open(io.BytesIO(data)).tag_v2[262] == 0 else GREY
    assert np.array_equal(Image.load(data).pixels[..., 0], expected)


# Colours


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_an_embedded_profile_is_followed(fmt: str) -> None:
    lossless = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
    options = lossless.get(fmt, {})
    red = file_bytes(fmt, pil.new("RGB", (16, 16), P3_RED), icc_profile=p3_profile(), **options)
    assert np.abs(Image.load(red).pixels[4, 4].astype(int) - (255, 0, 0)).max() <= 3
    plain = Image.load(file_bytes(fmt, **options))
    assert Image.load(file_bytes(fmt, icc_profile=srgb_profile(), **options)) == plain
    for broken in (b"no profile", srgb_profile()[:200], grey_profile(1.8), ink_profile()):
        assert Image.load(file_bytes(fmt, icc_profile=broken, **options)) == plain


def test_profiles_of_grey_alpha_palette_and_sixteen_bits() -> None:
    level = pil.new("L", (8, 8), 128)
    linear = Image.load(file_bytes("PNG", level, icc_profile=grey_profile(1.0))).pixels[0, 0]
    assert linear.tolist() == [188, 188, 188]
    deep = file_bytes("PNG", np.full((8, 8), 0x8000, np.uint16), icc_profile=grey_profile(1.0))
    assert Image.load(deep).pixels[0, 0].tolist() == [188, 188, 188]
    both = Image.load(file_bytes("PNG", level, icc_profile=p3_profile())).pixels[0, 0]
    assert both.tolist() == [128, 128, 128]  # a profile of colours, followed for a grey picture
    half = pil.new("RGBA", (8, 8), (*P3_RED, 128))
    clear = Image.load(file_bytes("PNG", half, icc_profile=p3_profile())).pixels[0, 0]
    assert np.abs(clear.astype(int) - (255, 127, 127)).max() <= 1
    few = pil.new("RGB", (8, 8), P3_RED).quantize(4)
    found = Image.load(file_bytes("PNG", few, icc_profile=p3_profile())).pixels[0, 0]
    assert found.tolist() == [255, 0, 0]


@pytest.mark.parametrize("fmt", ["JPEG", "TIFF"])
def test_inks_by_their_profile(fmt: str) -> None:
    inks = pil.new("CMYK", (16, 16), (255, 0, 0, 0))
    dark = file_bytes(fmt, inks, icc_profile=ink_profile())
    assert Image.load(dark).pixels[4, 4].max() <= 3
    light = file_bytes(
        fmt, pil.new("CMYK", (16, 16), (0, 255, 255, 255)), icc_profile=ink_profile()
    )
    assert Image.load(light).pixels[4, 4].min() >= 252
    assert Image.load(file_bytes(fmt, inks)).pixels[4, 4].tolist() == pytest.approx(
        [0, 255, 255], abs=2
    )


def test_lab_becomes_srgb() -> None:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    stored = ImageCms.profileToProfile(pil.fromarray(SMOOTH), srgb, lab, outputMode="LAB")
    pixels = Image.load(file_bytes("TIFF", stored)).pixels
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
    declared = Image.load(file_bytes("JPEG", told, exif=exif, quality=100)).pixels[4, 4]
    embedded = Image.load(
        file_bytes("JPEG", told, icc_profile=matrix_profile(*ADOBE_RGB), quality=100)
    ).pixels[4, 4]
    assert declared.tolist() == embedded.tolist() and declared[0] > 215


def test_values_that_are_no_colours_are_not_managed() -> None:
    linear = grey_profile(1.0)
    for fmt in ("PNG", "TIFF"):
        data = file_bytes(fmt, GREY, icc_profile=linear)
        assert np.array_equal(Depth.load(data).values, GREY)
        assert np.array_equal(Thermal.load(data).values, GREY)
        assert not np.array_equal(Image.load(data).pixels[..., 0], GREY)
        facing = Normal.load(file_bytes(fmt, SMOOTH, icc_profile=p3_profile()))
        assert np.array_equal(facing._display_pixels, SMOOTH)
    managed = png_with(chunk(b"gAMA", struct.pack(">I", 100_000)), picture=DEEP)
    assert np.array_equal(Depth.load(managed).values, DEEP)
