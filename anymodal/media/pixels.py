"""Still pictures decoded: one Pillow plugin per format, what it holds kept within the limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from anymodal.media.avif import read_avif
from anymodal.media.color import Convert, srgb_converter
from anymodal.media.gif import read_gif
from anymodal.media.jpeg import read_jpeg
from anymodal.media.jpeg2000 import read_jpeg2000
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.picture_file import PictureFile, animated_error
from anymodal.media.picture_headers import (  # fmt: skip
    read_bmp,
    read_ico,
    read_pnm,
    read_qoi,
    read_webp,
)
from anymodal.media.png import read_png
from anymodal.media.source import (  # fmt: skip
    AVIF,
    BMP,
    GIF,
    ICO,
    JPEG,
    JPEG2000,
    PNG,
    PNM,
    QOI,
    TIFF,
    WEBP,
    Blob,
    Format,
)
from anymodal.media.tiff import read_tiff
from anymodal.media.tiff_tags import orientation

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Sample = TypeVar("Sample", np.uint8, np.float32)

_READERS: dict[Format, tuple[Callable[[Blob], PictureFile], str, str]] = {
    PNG: (read_png, "PngImagePlugin", "PngImageFile"),
    JPEG: (read_jpeg, "JpegImagePlugin", "JpegImageFile"),
    WEBP: (read_webp, "WebPImagePlugin", "WebPImageFile"),
    GIF: (read_gif, "GifImagePlugin", "GifImageFile"),
    TIFF: (read_tiff, "TiffImagePlugin", "TiffImageFile"),
    BMP: (read_bmp, "BmpImagePlugin", "BmpImageFile"),
    AVIF: (read_avif, "AvifImagePlugin", "AvifImageFile"),
    JPEG2000: (read_jpeg2000, "Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    PNM: (read_pnm, "PpmImagePlugin", "PpmImageFile"),
    QOI: (read_qoi, "QoiImagePlugin", "QoiImageFile"),
    ICO: (read_ico, "IcoImagePlugin", "IcoImageFile"),
}
_BAND = 1_000_000  # pixels that are converted at once, so that no step doubles the picture
_ORIENTATION = 0x0112  # of EXIF
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class DecodedImage:
    """A decoded picture, as stored: not upright, in its own colours."""

    name: str
    picture: PilImage
    file: PictureFile

    @property
    def mode(self) -> str:
        """Pillow's name of the channels."""
        return self.picture.mode

    def colors(self, managed: bool = True) -> NDArray[np.uint8]:
        """RGB of 8 bits (H, W, 3), transparency on white; sRGB if `managed`, else as stored.

        Raises:
            ValueError: if its values are of no known range.
        """
        if self.mode == "F" or (self.mode == "I" and not self.file.white):
            raise MediaError(
                f"{self.name} holds {'floats' if self.mode == 'F' else 'integers of 32 bits'}, of "
                "which none is known to be white; scale them to 8 or 16 bits, or load them as depth"
            )
        grey = self.mode in ("1", "L", "LA", "La", "I", *_DEEP)
        base = "L" if grey else self.mode if self.mode in ("CMYK", "LAB", "YCbCr") else "RGB"
        profile = self.file.profile if managed else b""
        convert = srgb_converter(profile, base) if profile or base == "LAB" else _rgb
        return self._fill(np.uint8, (3,), lambda band: self._flat(band, base, convert))

    def luminance(self) -> NDArray[np.uint8]:
        """Grey of 8 bits (H, W), as stored where it is grey already."""
        from PIL import Image as pil

        if self.mode == "L" and not self.file.white:
            return self._fill(np.uint8, (), np.asarray)
        colors = self.colors(managed=False)
        grey = np.empty(colors.shape[:2], np.uint8)
        rows = max(1, _BAND // colors.shape[1])
        for top in range(0, len(grey), rows):
            band = pil.fromarray(colors[top : top + rows])
            grey[top : top + rows] = np.asarray(band.convert("L"))
        return grey

    def transparency(self) -> NDArray[np.uint8] | None:
        """Transparency of each pixel (H, W), 255 where it is clear; None where all are solid."""
        if self.mode in ("I", *_DEEP):
            has_any = isinstance(self.picture.info.get("transparency"), int)
        else:
            has_any = self.picture.has_transparency_data
        return self._fill(np.uint8, (), self._clear) if has_any else None

    def _clear(self, band: PilImage) -> NDArray[np.uint8]:
        if band.mode in ("I", *_DEEP):
            alpha = self._shallow(band)[1]
        else:
            band = band.convert("LA") if band.mode == "La" else band
            alpha = band.convert("RGBA").getchannel("A")
        assert alpha is not None, "a picture that has any has it everywhere"
        clear: NDArray[np.uint8] = 255 - np.asarray(alpha)
        return clear

    def values(self) -> NDArray[np.float32]:
        """The values of one channel (H, W) as they stand in the file.

        Raises:
            ValueError: if it has more channels.
        """
        if self.mode not in ("L", "I", "F", *_DEEP):
            raise MediaError(
                f"{self.name} has the channels {self.mode}, but a depth map has one; "
                "save it as grey PNG or TIFF of 8 or 16 bits, or as NPY"
            )
        shift = self.file.shift
        return self._fill(
            np.float32, (), lambda band: np.asarray(band) >> shift if shift else np.asarray(band)
        )

    def _flat(self, band: PilImage, base: str, convert: Convert) -> NDArray[np.uint8]:
        from PIL import Image as pil

        alpha = None
        if band.mode in ("I", *_DEEP):
            band, alpha = self._shallow(band)
        elif band.has_transparency_data:
            band = band.convert("LA") if band.mode == "La" else band
            band = band.convert("RGBA")
            alpha = band.getchannel("A")
            band = band.getchannel("R") if base == "L" else band.convert("RGB")
        band = convert(band if band.mode == base else band.convert(base))
        if alpha is not None:
            white = pil.new("RGB", band.size, "white")
            white.paste(band, mask=alpha)
            band = white
        colors: NDArray[np.uint8] = np.asarray(band)
        if 0 < self.file.white < 255:
            colors = (
                (colors.astype(np.uint16) * 255 // self.file.white).clip(0, 255).astype(np.uint8)
            )
        return colors

    def _shallow(self, band: PilImage) -> tuple[PilImage, PilImage | None]:
        """The upper 8 of 16 bits, and where the transparent value is not."""
        from PIL import Image as pil

        values = np.asarray(band).astype(np.uint32) >> self.file.shift
        white = self.file.white or 65535
        upper = (values * 256 // (white + 1)).clip(0, 255).astype(np.uint8)
        if self.file.min_is_white:
            upper = 255 - upper
        key = band.info.get("transparency")
        clear = values == key if isinstance(key, int) else None
        alpha = None if clear is None else pil.fromarray(np.where(clear, 0, 255).astype(np.uint8))
        return pil.fromarray(upper), alpha

    def _fill(
        self,
        dtype: type[Sample],
        channels: tuple[int, ...],
        read: Callable[[PilImage], NDArray[np.generic]],
    ) -> NDArray[Sample]:
        """An upright array, filled from bands of the stored picture."""
        width, height = self.picture.size
        swaps_axes = self.file.orientation >= 5
        upright = np.empty(((width, height) if swaps_axes else (height, width)) + channels, dtype)
        stored_view = _as_stored(upright, self.file.orientation)
        # In bands, so that conversions of a large picture hold little beside the result.
        rows = max(1, _BAND // width)
        for top in range(0, height, rows):
            bottom = min(height, top + rows)
            stored_view[top:bottom] = read(self.picture.crop((0, top, width, bottom)))
        return upright


def read_pixels(blob: Blob, fmt: Format, limits: Limits, result: int) -> DecodedImage:
    """Decode with the one Pillow plugin of the format, after its header has passed the limits.

    The plugin's class is called directly: `PIL.Image.open` would try formats that nobody asked
    for, and warn about large pictures where a user has allowed them.

    Args:
        result: bytes that each pixel becomes.

    Raises:
        ValueError: if it is damaged, cut short, animated or over a limit.
    """
    if fmt not in _READERS:  # a kind of somebody's own is asked for whatever a file holds
        raise MediaError(f"{blob.name} holds {fmt.label}, not an image; give an image file")
    read, module, plugin = _READERS[fmt]
    with decoding(blob.name, fmt.label):
        file = read(blob)
        file.check(blob, limits, result)
    if fmt is ICO and file.data.startswith(b"\x89PNG"):
        _, module, plugin = _READERS[PNG]
    with decoding(blob.name, fmt.label, f"a kind of {fmt.label} that is not read (PNG is)"):
        picture = getattr(import_module(f"PIL.{module}"), plugin)(BytesIO(file.data))
        if not file.orientation:
            file = replace(file, orientation=orientation(picture.info.get("exif", b"")))
        if picture.size != (file.width, file.height):
            file = replace(file, width=picture.size[0], height=picture.size[1])
            file.check(blob, limits, result)
        if getattr(picture, "is_animated", False):
            raise animated_error(blob, fmt)
        picture.load()
    return DecodedImage(blob.name, picture, file)


def pillow_pixels(picture: PilImage, limits: Limits) -> DecodedImage:
    """The current frame of a picture that Pillow holds, decoded if it is not yet.

    Raises:
        ValueError: if it is over a limit, or Pillow can't decode it.
    """
    name = "the given picture"
    profile = picture.info.get("icc_profile") or b""
    label = picture.format or picture.mode
    with decoding(name, label):
        exif_orientation = picture.getexif().get(_ORIENTATION, 1)
    exif_orientation = exif_orientation if exif_orientation in range(1, 9) else 1
    file = PictureFile(
        b"", *picture.size, per_pixel=4, profile=profile, orientation=exif_orientation
    )
    file.check(Blob(b"", name), limits, 3)
    with decoding(name, label):
        picture.load()
    return DecodedImage(name, picture, file)


def _as_stored(upright: NDArray[Sample], orientation: int) -> NDArray[Sample]:
    """The view of an upright picture whose rows and columns are those of the stored one."""
    if orientation >= 5:
        upright = upright.swapaxes(0, 1)
    if orientation in (2, 3, 7, 8):
        upright = upright[:, ::-1]
    if orientation in (3, 4, 6, 7):
        upright = upright[::-1]
    return upright


def _rgb(picture: PilImage) -> PilImage:
    return picture.convert("RGB")
