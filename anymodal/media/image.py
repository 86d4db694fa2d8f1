"""Still pictures: colour, depth, thermal and surface normals."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from anymodal.media.arrays import read_npy, write_npy
from anymodal.media.base import Media, data_uri
from anymodal.media.checks import check_array
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.pixels import pillow_pixels, read_pixels
from anymodal.media.source import NPY, Blob, Format, sniff

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage


class PillowOptions(TypedDict, total=False):
    """Options of Pillow's encoders."""

    format: str
    quality: int
    subsampling: int
    lossless: bool


_MAX_DISPLAY_SIDE = 1024  # the longest side of a picture in a notebook or a page
_WRITTEN: dict[str, PillowOptions] = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".webp": {"format": "WEBP", "lossless": True},
}


class _Picture(Media):
    """A medium that is one picture."""

    @property
    def _display_pixels(self) -> NDArray[np.uint8]:
        raise NotImplementedError

    def _repr_png_(self) -> bytes:
        from PIL import Image as pil

        picture = pil.fromarray(self._display_pixels)
        picture.thumbnail((_MAX_DISPLAY_SIDE, _MAX_DISPLAY_SIDE))
        return _write(picture, format="PNG")

    def html(self) -> str:
        """An `<img>` with the picture inside."""
        height, width = self._display_pixels.shape[:2]
        return (
            f'<img alt="{self.kind}, {width}×{height}" '
            f'src="{data_uri("image/png", self._repr_png_())}">'
        )


@dataclass(eq=False, repr=False)
class Image(_Picture):
    """A colour picture.

    Shapes: pixels (H, W, 3), uint8, sRGB.

    Loads PNG, JPEG, WebP, AVIF, TIFF, BMP, JPEG 2000, single-frame GIF, PPM, QOI and ICO: turned
    upright, colours converted to sRGB as the file states them, transparency on white.
    Saves PNG and WebP without loss, and JPEG.
    """

    pixels: NDArray[np.uint8]

    kind: ClassVar[str] = "image"
    suffix: ClassVar[str] = ".png"
    saves: ClassVar[tuple[str, ...]] = tuple(_WRITTEN)
    inline: ClassVar[str] = ".png"

    def __post_init__(self) -> None:
        self.pixels = check_array(
            self.pixels,
            "pixels",
            np.uint8,
            "(H, W, 3)",
            "give RGB from 0 to 255; for floats in [0, 1], (255 * x).round().astype(np.uint8)",
        )

    def __repr__(self) -> str:
        return f"Image({self.pixels.shape[1]}×{self.pixels.shape[0]})"

    @property
    def _display_pixels(self) -> NDArray[np.uint8]:
        return self.pixels

    @classmethod
    def from_pillow(cls, picture: PilImage, *, limits: Limits | None = None) -> Image:
        """The current frame of a picture that Pillow holds, read as its file would be.

        Raises:
            ValueError: if it is too large, or Pillow can't decode it.
        """
        return cls(pillow_pixels(picture, limits or Limits()).colors())

    @classmethod
    def of_transparency(cls, data: bytes, *, limits: Limits | None = None) -> Image:
        """A file's transparency as a picture: white where it is clear, black where it is solid.

        Raises:
            ValueError: if it can't be read as a picture, or has no transparency.
        """
        limits = limits or Limits()
        blob = Blob.of(data, limits, "the given data")
        pixels = read_pixels(blob, sniff(blob), limits, result=3)
        with decoding(blob.name, "picture"):
            clear = pixels.transparency()
        if clear is None:
            raise MediaError(
                "the picture has no transparency; save it as PNG with an alpha channel"
            )
        return cls(np.repeat(clear[:, :, None], 3, 2))

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: object) -> Image:
        pixels = read_pixels(blob, fmt, limits, result=3)
        with decoding(blob.name, fmt.label):
            return cls(pixels.colors())

    def _encode(self, suffix: str) -> bytes:
        from PIL import Image as pil

        return _write(pil.fromarray(self.pixels), **_WRITTEN[suffix])


@dataclass(eq=False, repr=False)
class Depth(_Picture):
    """A disparity map: larger is nearer, in whatever unit the source has.

    Shapes: values (H, W), float32.

    Loads NPY, and pictures of one channel (PNG and TIFF of 8 or 16 bits, TIFF and PFM of floats)
    with their values as they stand. Saves NPY.
    """

    values: NDArray[np.float32]

    kind: ClassVar[str] = "depth"
    suffix: ClassVar[str] = ".npy"
    saves: ClassVar[tuple[str, ...]] = (".npy",)

    def __post_init__(self) -> None:
        advice = "give one floating-point disparity per pixel, x.astype(np.float32)"
        self.values = check_array(self.values, "values", np.float32, "(H, W)", advice)

    def __repr__(self) -> str:
        low, high = float(self.values.min()), float(self.values.max())
        return f"Depth({self.values.shape[1]}×{self.values.shape[0]}, {low:g} to {high:g})"

    @property
    def _display_pixels(self) -> NDArray[np.uint8]:
        values = self.values.astype(np.float64)
        low = float(values.min())
        span = max(float(values.max()) - low, 1e-12)
        pixels: NDArray[np.uint8] = ((values - low) / span * 255).round().astype(np.uint8)
        return pixels

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: object) -> Depth:
        if fmt is NPY:
            return cls(read_npy(blob, limits, ndim=2).astype(np.float32))
        pixels = read_pixels(blob, fmt, limits, result=4)
        with decoding(blob.name, fmt.label):
            return cls(pixels.values())

    def _encode(self, suffix: str) -> bytes:
        return write_npy(self.values)


@dataclass(eq=False, repr=False)
class Thermal(_Picture):
    """A thermal picture: brighter is warmer.

    Shapes: values (H, W), uint8.

    Loads what `Image` loads, as luminance; of 16 bits the upper 8. Saves grey PNG.
    """

    values: NDArray[np.uint8]

    kind: ClassVar[str] = "thermal"
    suffix: ClassVar[str] = ".png"
    saves: ClassVar[tuple[str, ...]] = (".png",)

    def __post_init__(self) -> None:
        advice = "scale the temperatures to 0 to 255, then .astype(np.uint8)"
        self.values = check_array(self.values, "values", np.uint8, "(H, W)", advice)

    def __repr__(self) -> str:
        return f"Thermal({self.values.shape[1]}×{self.values.shape[0]})"

    @property
    def _display_pixels(self) -> NDArray[np.uint8]:
        return self.values

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: object) -> Thermal:
        pixels = read_pixels(blob, fmt, limits, result=1)
        with decoding(blob.name, fmt.label):
            return cls(pixels.luminance())

    def _encode(self, suffix: str) -> bytes:
        from PIL import Image as pil

        return _write(pil.fromarray(self.values), format="PNG")


@dataclass(eq=False, repr=False)
class Normal(_Picture):
    """A map of surface normals: which way each pixel's surface faces.

    Shapes: values (H, W, 3), float32, x, y and z from -1 to 1 in whatever axes the source has.

    Loads NPY, and what `Image` loads, where 0 to 255 stand for -1 to 1. Saves NPY, and PNG of
    8 bits.
    """

    values: NDArray[np.float32]

    kind: ClassVar[str] = "normal"
    suffix: ClassVar[str] = ".npy"
    saves: ClassVar[tuple[str, ...]] = (".npy", ".png")

    def __post_init__(self) -> None:
        advice = "give the x, y and z of each pixel's normal from -1 to 1, x.astype(np.float32)"
        self.values = check_array(self.values, "values", np.float32, "(H, W, 3)", advice)
        most = max(float(self.values.max()), -float(self.values.min()))
        if most > 1.001:  # what rounding may add to a unit vector
            raise MediaError(f"values reach {most:g}, and a normal's at most 1: {advice}")

    def __repr__(self) -> str:
        return f"Normal({self.values.shape[1]}×{self.values.shape[0]})"

    @property
    def _display_pixels(self) -> NDArray[np.uint8]:
        return ((self.values.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: object) -> Normal:
        if fmt is NPY:
            return cls(read_npy(blob, limits, ndim=3).astype(np.float32))
        pixels = read_pixels(blob, fmt, limits, result=12)
        with decoding(blob.name, fmt.label):
            values = pixels.colors(managed=False).astype(np.float32)
            values /= np.float32(127.5)  # in place: each step would be another picture of floats
            values -= 1
            return cls(values)

    def _encode(self, suffix: str) -> bytes:
        if suffix == ".npy":
            return write_npy(self.values)
        from PIL import Image as pil

        return _write(pil.fromarray(self._display_pixels), format="PNG")


def _write(picture: PilImage, **options: Unpack[PillowOptions]) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, **options)
    return buffer.getvalue()
