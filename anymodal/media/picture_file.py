"""Headers of image files, read before anything is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import Blob, Format

_NS, _NS_PER_PIXEL, _NS_PER_BYTE = 1e9, 150, 400  # the longest that a file of its size may take


@dataclass(frozen=True)
class PictureFile:
    """A picture file as its header describes it, and the part of it that Pillow is given.

    Args:
        data: the file without what its pixels do not need, such as texts and EXIF.
        width: pixels as stored, before orientation.
        height: pixels as stored.
        per_pixel: bytes that Pillow and its decoder hold for each pixel.
        extra: bytes that they hold besides.
        effort: nanoseconds of decoding, estimated.
        profile: an ICC profile, or nothing for sRGB.
        orientation: how to turn it upright, 1 to 8 as in EXIF.
        white: the value that stands for white where it is not the mode's own; 0 if it is.
        shift: bits by which Pillow moves the stored values up.
        min_is_white: whether 0 is white and Pillow leaves it so.
        error: why it can't be decoded although its header could be read.
    """

    data: bytes
    width: int
    height: int
    per_pixel: float
    extra: float = 0
    effort: float = 0
    profile: bytes = b""
    orientation: int = 1
    white: int = 0
    shift: int = 0
    min_is_white: bool = False
    error: MediaError | None = None

    def check(self, blob: Blob, limits: Limits, result: int) -> None:
        """Refuse it if it, or an array of `result` bytes per pixel, is over a limit, or cut."""
        pixels = self.width * self.height
        size = f"{self.width}×{self.height} pixels"
        limits.check_pixels(blob.name, self.width, self.height)
        limits.check_decoded(blob.name, result * pixels, size)
        limits.check_working(blob.name, (self.per_pixel + result) * pixels + self.extra, size)
        limits.check_effort(blob.name, self.effort)
        if self.effort > _NS + _NS_PER_PIXEL * pixels + _NS_PER_BYTE * len(self.data):
            raise MediaError(
                f"{blob.name} takes about {self.effort / 1e9:,.0f} s to decode, far longer than a "
                "picture of its size should; save it anew, as PNG or plain JPEG"
            )
        if self.error:
            raise self.error


def image_cut_short(blob: Blob, size: int | None = None) -> MediaError:
    """The error for a file that ends before its own structure does."""
    more = "" if size is None else f" of at least {size:,}"
    return MediaError(
        f"{blob.name} is cut short: it has {len(blob.data):,}{more} bytes; save or download it "
        "again"
    )


def damaged_error(blob: Blob, fmt: Format, what: str) -> MediaError:
    """The error for a file that contradicts itself."""
    return MediaError(f"{blob.name} is a damaged {fmt.label} file ({what}); save it again")


def animated_error(blob: Blob, fmt: Format) -> MediaError:
    """The error for a format that may move where a still picture is needed."""
    return MediaError(
        f"{blob.name} is an animated {fmt.label}; convert it to GIF, MP4 or WebM, or save one frame"
    )


def boxes(blob: Blob, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Each box (ISO/IEC 14496-12, section 4.2): its type, and where its content starts and ends.

    Raises:
        ValueError: if one reaches past the end of what holds it.
    """
    data = blob.data
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        inside = start + 8
        if size == 1 and start + 16 <= end:
            # 64 bits of size follow.
            size, inside = int.from_bytes(data[start + 8 : start + 16], "big"), start + 16
        stop = end if size == 0 else start + size  # 0: to the end of what holds it
        if stop > end or stop < inside:
            raise image_cut_short(blob, stop if stop > end else None)
        yield name, inside, stop
        start = stop
    if start < end:
        raise image_cut_short(blob, start + 8)
