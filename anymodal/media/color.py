"""Colours of pictures, as their files mean them, turned to sRGB."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Convert = Callable[["PilImage"], "PilImage"]

_SAME = 2  # levels of 255 that a profile may be off sRGB and still be a copy of it
_LARGE = 65_536  # bytes of a profile that is not worth keeping
_STEPS = 4096  # of a tone curve
_WHITE = 203.0  # cd/m² of paper white in HDR (ITU-R BT.2408)
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D65 = (0.3127, 0.3290)
_PRIMARIES: dict[int, tuple[float, ...]] = {  # ITU-T H.273, table 2: white, red, green, blue
    1: (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_LIKE_SRGB = (1, 6, 13, 14, 15)  # BT.709's curve is shown as sRGB's, as browsers do
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}


def srgb_converter(profile: bytes, mode: str) -> Convert:
    """The conversion of pictures of a mode (L, RGB, CMYK, LAB, YCbCr) to RGB in sRGB.

    A profile that is sRGB itself changes no pixel. One that is broken, or for another kind of
    channels, counts as none: the picture is good without it.
    """
    large = len(profile) > _LARGE
    return _converter(profile, mode) if large else _cached_converter(profile, mode)


def _converter(profile: bytes, mode: str) -> Convert:
    from PIL import ImageCms

    srgb = ImageCms.createProfile("sRGB")
    try:
        if mode == "LAB":
            source, space = ImageCms.createProfile("LAB"), "LAB"
        else:
            source = ImageCms.ImageCmsProfile(BytesIO(profile)).profile
            space = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}[source.xcolor_space.strip()]
        if space != mode and not (space == "RGB" and mode in ("L", "YCbCr")):
            return _plain
        transform = ImageCms.buildTransform(
            source,
            srgb,
            space,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # without its cache of one pixel, threads can share a transform
            ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE,
        )
        probe = _probe(space)
        srgb_probe = (
            None if probe is None else np.asarray(ImageCms.applyTransform(probe, transform))
        )
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError, TypeError):
        return _plain
    if probe is not None and srgb_probe is not None:
        off = np.abs(srgb_probe.astype(np.int16) - np.asarray(probe.convert("RGB")))
        if int(off.max()) <= _SAME:
            return _plain

    def convert(picture: PilImage) -> PilImage:
        if picture.mode != space:
            picture = picture.convert(space)
        result = ImageCms.applyTransform(picture, transform)
        assert result is not None  # None is for inPlace
        return result

    return convert


_cached_converter = lru_cache(maxsize=32)(_converter)  # files of one origin share a profile


def _plain(picture: PilImage) -> PilImage:
    return picture.convert("RGB")


def _probe(space: str) -> PilImage | None:
    """Colours all over a space that sRGB could be a copy of."""
    from PIL import Image as pil

    if space == "L":
        return pil.fromarray(np.arange(256, dtype=np.uint8)[None])
    if space != "RGB":
        return None
    levels = np.linspace(0, 255, 17).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    return pil.fromarray(grid.reshape(17, -1, 3))


def matrix_profile(corners: Sequence[float], curve: float | NDArray[np.float64]) -> bytes:
    """An ICC profile (ICC.1:2001-04) of primaries and one tone curve.

    Args:
        corners: chromaticities x, y of white, red, green and blue.
        curve: light of 0 to 1 at even steps of the stored value, or the exponent that gives it.

    Returns:
        The profile; nothing where the primaries span no colours.
    """
    if isinstance(curve, float | int):
        curve = np.linspace(0, 1, _STEPS) ** curve
    tone = struct.pack(">4sII", b"curv", 0, len(curve))
    tone += (curve.clip(0, 1) * 65535).round().astype(">u2").tobytes()
    columns = _adapt_to_d50(corners)
    if columns is None:
        return b""
    tags = {b"wtpt": _xyz_tag(_D50)}
    for name, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
        tags[name + b"XYZ"] = _xyz_tag(column)
        tags[name + b"TRC"] = tone
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x12s48x", 128 + len(table) + len(body), 0x02400000, b"mntr",
        b"RGB ", b"XYZ ", b"acsp", _xyz_tag(_D50)[8:],
    )  # fmt: skip
    return head + table + body


def coded_profile(primaries: int, transfer: int) -> bytes | None:
    """The ICC profile of the codes of ITU-T H.273; nothing for sRGB, None for codes of no use.

    High dynamic range is shown up to paper white, and clipped above.
    """
    curve: float | NDArray[np.float64]
    signal = np.linspace(0, 1, _STEPS)
    if transfer in _LIKE_SRGB:
        curve = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    elif transfer in _GAMMAS:
        curve = _GAMMAS[transfer]
    elif transfer == 16:  # PQ, SMPTE ST 2084
        root = signal ** (32 / 2523)
        light = (root - 0.8359375).clip(0) / (18.8515625 - 18.6875 * root)
        curve = light ** (8192 / 1305) * 10_000 / _WHITE
    elif transfer == 18:  # HLG, ARIB STD-B67, on a display of 1,000 cd/m²
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
        curve = light**1.2 * 1000 / _WHITE
    else:
        return None
    if primaries not in _PRIMARIES:
        return None
    if primaries == 1 and transfer in _LIKE_SRGB:
        return b""
    return matrix_profile(_PRIMARIES[primaries], curve)


ADOBE_RGB = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 563 / 256


def _xyz_tag(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(float(v) * 65536) for v in values))


def _adapt_to_d50(corners: Sequence[float]) -> NDArray[np.float64] | None:
    """XYZ of red, green and blue as columns (3, 3), adapted to D50 (Lindbloom, Bradford)."""
    xy = np.asarray(corners, np.float64).reshape(4, 2)
    if (xy[:, 1] <= 0).any():
        return None
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(axis=1)) / xy[:, 1]], axis=1)
    white, columns = xyz[0], xyz[1:].T
    try:
        columns = columns * np.linalg.solve(columns, white)
    except np.linalg.LinAlgError:
        return None
    cones = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ white)
    matrix: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ columns
    return matrix if np.abs(matrix).max() < 8 else None
