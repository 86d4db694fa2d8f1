"""Still pictures: colour, depth, thermal and surface normals."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from anymodal.media.arrays import read_npy, write_npy
from anymodal.media.base import Media, check_array, data_uri
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.source import GIF, JPEG, NPY, PNG, WEBP, Blob, Format

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

_SHOWN = 1024  # the longest side of a picture in a notebook or a page
_WRITTEN: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".webp": {"format": "WEBP", "lossless": True},
}


class _Picture(Media):
    """A medium that is one picture."""

    @property
    def _shown(self) -> NDArray[np.uint8]:
        raise NotImplementedError

    def _repr_png_(self) -> bytes:
        from PIL import Image as pil

        picture = pil.fromarray(self._shown)
        picture.thumbnail((_SHOWN, _SHOWN))
        return _write(picture, format="PNG")

    def html(self) -> str:
        """An `<img>` with the picture inside."""
        height, width = self._shown.shape[:2]
        return (
            f'<img alt="{self.kind}, {width}×{height}" '
            f'src="{data_uri("image/png", self._repr_png_())}">'
        )


@dataclass(eq=False, repr=False)
class Image(_Picture):
    """A colour picture.

    Shapes: pixels (H, W, 3), uint8, sRGB.

    Loads PNG, JPEG, WebP and single-frame GIF, turned upright by EXIF, transparency on white.
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
    def _shown(self) -> NDArray[np.uint8]:
        return self.pixels

    @classmethod
    def from_pillow(cls, picture: PilImage, *, limits: Limits | None = None) -> Image:
        """The current frame of a picture that Pillow holds, read as its file would be.

        Raises:
            ValueError: if it is too large, or Pillow can't decode it.
        """
        blob = Blob(b"", "the given picture")
        _check_size(blob, limits or Limits(), *picture.size)
        with decoding(blob.name, picture.format or picture.mode):
            return cls(np.asarray(_flat(_upright(picture))))

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: Any) -> Image:
        with decoding(blob.name, fmt.label):
            return cls(np.asarray(_flat(_upright(_open(blob, fmt, limits)))))

    def _encode(self, suffix: str) -> bytes:
        from PIL import Image as pil

        return _write(pil.fromarray(self.pixels), **_WRITTEN[suffix])


@dataclass(eq=False, repr=False)
class Depth(_Picture):
    """A disparity map: larger is nearer, in whatever unit the source has.

    Shapes: values (H, W), float32.

    Loads NPY, and one-channel PNG of 8 or 16 bits with its values as they stand. Saves NPY.
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
    def _shown(self) -> NDArray[np.uint8]:
        values = self.values.astype(np.float64)
        low = float(values.min())
        span = max(float(values.max()) - low, 1e-12)
        shown: NDArray[np.uint8] = ((values - low) / span * 255).round().astype(np.uint8)
        return shown

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: Any) -> Depth:
        if fmt is NPY:
            return cls(read_npy(blob, limits, ndim=2).astype(np.float32))
        with decoding(blob.name, fmt.label):
            picture = _upright(_open(blob, fmt, limits))
            if picture.mode not in ("L", "I", "I;16", "I;16B", "I;16L"):
                raise MediaError(
                    f"{blob.name} has the channels {picture.mode}, but a depth map has one; "
                    "save it as grey PNG of 8 or 16 bits, or as NPY"
                )
            return cls(np.asarray(picture).astype(np.float32))

    def _encode(self, suffix: str) -> bytes:
        return write_npy(self.values)


@dataclass(eq=False, repr=False)
class Thermal(_Picture):
    """A thermal picture: brighter is warmer.

    Shapes: values (H, W), uint8.

    Loads what `Image` loads, as luminance; 16-bit PNG keeps the upper 8 bits. Saves grey PNG.
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
    def _shown(self) -> NDArray[np.uint8]:
        return self.values

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: Any) -> Thermal:
        with decoding(blob.name, fmt.label):
            picture = _upright(_open(blob, fmt, limits))
            return cls(np.asarray(picture if picture.mode == "L" else _flat(picture).convert("L")))

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
        most = float(np.abs(self.values).max())
        if most > 1.001:  # what rounding may add to a unit vector
            raise MediaError(f"values reach {most:g}, and a normal's at most 1: {advice}")

    def __repr__(self) -> str:
        return f"Normal({self.values.shape[1]}×{self.values.shape[0]})"

    @property
    def _shown(self) -> NDArray[np.uint8]:
        return ((self.values.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: Any) -> Normal:
        if fmt is NPY:
            return cls(read_npy(blob, limits, ndim=3).astype(np.float32))
        with decoding(blob.name, fmt.label):
            pixels = np.asarray(_flat(_upright(_open(blob, fmt, limits))))
            return cls(pixels.astype(np.float32) / np.float32(127.5) - 1)

    def _encode(self, suffix: str) -> bytes:
        if suffix == ".npy":
            return write_npy(self.values)
        from PIL import Image as pil

        return _write(pil.fromarray(self._shown), format="PNG")


def _open(blob: Blob, fmt: Format, limits: Limits) -> PilImage:
    """Decode with the one Pillow plugin of the format, after its header has passed the limits.

    The plugin's class is called directly: `PIL.Image.open` would try formats that nobody asked
    for, and warn about large pictures where a user has allowed them.
    """
    from PIL.GifImagePlugin import GifImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    if fmt is WEBP:  # its plugin allots two canvases before it tells their size
        _check_size(blob, limits, *_webp_size(blob.data))
    plugins: dict[Format, Any] = {
        PNG: PngImageFile,
        JPEG: JpegImageFile,
        WEBP: WebPImageFile,
        GIF: GifImageFile,
    }
    picture: PilImage = plugins[fmt](BytesIO(blob.data))
    _check_size(blob, limits, *picture.size)
    if getattr(picture, "is_animated", False):
        raise MediaError(
            f"{blob.name} is an animated {fmt.label}; convert it to GIF, MP4 or WebM, "
            "or save one frame"
        )
    picture.load()
    return picture


def _check_size(blob: Blob, limits: Limits, width: int, height: int) -> None:
    limits.check_pixels(blob.name, width, height)
    limits.check_decoded(blob.name, 3 * width * height, f"{width}×{height} pixels")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in a WebP header (RFC 9649, sections 2.5 to 2.7)."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return (
        int.from_bytes(data[26:28], "little") & 0x3FFF,
        int.from_bytes(data[28:30], "little") & 0x3FFF,
    )


def _upright(picture: PilImage) -> PilImage:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:
        return picture


def _flat(picture: PilImage) -> PilImage:
    """RGB of 8 bits, transparency on white."""
    from PIL import Image as pil

    if picture.mode.startswith("I"):  # Pillow would clip 16 bits instead of scaling them
        upper = (np.asarray(picture).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        picture = pil.fromarray(upper)
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    white = pil.new("RGBA", picture.size, "white")
    return pil.alpha_composite(white, picture.convert("RGBA")).convert("RGB")


def _write(picture: PilImage, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, **options)
    return buffer.getvalue()
