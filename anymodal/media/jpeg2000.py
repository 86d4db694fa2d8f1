"""JPEG 2000: its boxes and its codestream's markers (ITU-T T.800, annexes A and I)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from anymodal.media.limits import MediaError
from anymodal.media.picture_file import PictureFile, boxes, damaged_error, image_cut_short
from anymodal.media.source import JPEG2000, Blob

_SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_PARTS = 100_000
_SAMPLE, _BLOCK, _TILE, _PACKET = 5, 500, 12_000, 24  # bytes that OpenJPEG holds for each
_NS_PER_SAMPLE, _NS_PER_BYTE, _NS_PER_BLOCK, _NS_PER_PACKET = 15, 120, 400, 100


def read_jpeg2000(blob: Blob) -> PictureFile:
    """The header of a JPEG 2000 file, with or without boxes around the codestream.

    Raises:
        ValueError: if it is cut short, damaged, or of more parts than it should take.
    """
    if blob.data.startswith(b"\xff\x4f"):
        return _Codestream(blob, 0, len(blob.data)).file(b"")
    profile, code = b"", None
    for name, start, end in boxes(blob):
        if name == b"jp2h":
            for inner, at, stop in boxes(blob, start, end):
                if inner == b"colr" and blob.data[at : at + 1] == b"\x02":
                    profile = profile or blob.data[at + 3 : stop]
        elif name == b"jp2c" and code is None:
            code = _Codestream(blob, start, end)
    if code is None:
        raise damaged_error(blob, JPEG2000, "it has no codestream")
    return code.file(profile)


class _Codestream:
    """Markers of a codestream that determine OpenJPEG's memory and time."""

    def __init__(self, blob: Blob, start: int, end: int) -> None:
        self.blob, self.end = blob, end
        self.block = 4096  # samples of the smallest code-block or precinct
        self.components = self.layers = self.levels = 1
        self.parts = 0
        siz = b""
        at = start + 2
        for marker, content, following in self._markers(at):
            if marker == _SIZ and len(content) >= 37:
                siz = content
                self.components = struct.unpack_from(">H", siz, 34)[0]
            self._coding(marker, content)
            at = following
        if not siz:
            raise damaged_error(blob, JPEG2000, "it has no size")
        grid = struct.unpack_from(">8I", siz, 2)
        self.width, self.height = grid[0] - grid[2], grid[1] - grid[3]
        if self.width < 1 or self.height < 1 or not grid[4] or not grid[5]:
            raise damaged_error(blob, JPEG2000, "its size")
        self.tiles = math.ceil(grid[0] / grid[4]) * math.ceil(grid[1] / grid[5])
        self.tile = min(grid[4], self.width) * min(grid[5], self.height)
        self.depth = 1 + (siz[36] & 0x7F)
        self._tile_parts(at)

    def _markers(self, at: int) -> Iterator[tuple[int, bytes, int]]:
        """The marker segments from an offset up to the next tile-part, data or end."""
        data = self.blob.data
        while True:
            if at + 4 > self.end:
                raise image_cut_short(self.blob)
            marker, size = struct.unpack_from(">HH", data, at)
            if marker in (_SOT, _SOD, _EOC):
                return
            if marker < 0xFF00 or size < 2 or at + 2 + size > self.end:
                raise damaged_error(self.blob, JPEG2000, "its markers")
            at += 2 + size
            yield marker, data[at - size + 2 : at], at

    def _coding(self, marker: int, content: bytes) -> None:
        """Note the sizes in a segment of coding style, the smallest of them all."""
        # Scod, progression, layers, transform of components, then SPcod (T.800, A.6.1).
        if marker == _COD and len(content) >= 10:
            self.layers = max(self.layers, int.from_bytes(content[2:4], "big"))
            style, spcod = content[0], content[5:]
        elif marker == _COC and len(content) >= 8:
            wide = self.components > 256  # two bytes name the component, else one
            style, spcod = content[1 + wide], content[2 + wide :]
        else:
            return
        self.levels = max(self.levels, spcod[0] + 1)
        code = 2 ** (spcod[1] + spcod[2] + 4) if spcod[1] + spcod[2] < 12 else 4096
        # a precinct of 2^x by 2^y samples holds a quarter of them in each of its bands
        sizes = [2 ** ((size & 15) + (size >> 4)) // 4 for size in spcod[5:]] if style & 1 else []
        self.block = max(1, min(self.block, code, *sizes))

    def _tile_parts(self, at: int) -> None:
        """Go through the tile-parts to the end, noting coding styles of their own."""
        data = self.blob.data
        while data[at : at + 2] == b"\xff\x90":
            if at + 12 > self.end:
                raise image_cut_short(self.blob)
            size = int.from_bytes(data[at + 6 : at + 10], "big")
            stop = self.end - 2 if size == 0 else at + size
            if stop + 2 > self.end or stop < at + 12:
                raise image_cut_short(self.blob, stop + 2)
            for marker, content, _ in self._markers(at + 12):
                self._coding(marker, content)
            self.parts += 1
            if self.parts > _PARTS:
                raise MediaError(
                    f"{self.blob.name} is JPEG 2000 of more than {_PARTS:,} parts; save it anew"
                )
            at = stop
        if data[at : at + 2] != b"\xff\xd9" or not self.parts:
            raise image_cut_short(self.blob, at + 2)

    def file(self, profile: bytes) -> PictureFile:
        """The picture, with what its decoding takes."""
        samples = self.width * self.height * self.components
        blocks = 1.34 * samples / self.block + self.tiles * self.components * self.levels * 3
        packets = blocks * self.layers
        tile = self.tile * self.components * _SAMPLE
        deep = self.components == 1 and self.depth > 8
        return PictureFile(
            self.blob.data,
            self.width,
            self.height,
            per_pixel=4,
            extra=tile + _BLOCK * blocks + _TILE * self.tiles + _PACKET * packets,
            effort=_NS_PER_SAMPLE * samples
            + _NS_PER_BYTE * len(self.blob.data)
            + _NS_PER_BLOCK * blocks
            + _NS_PER_PACKET * packets,
            profile=profile,
            white=(1 << self.depth) - 1 if deep else 0,
            shift=max(0, 16 - self.depth) if deep else 0,
        )
