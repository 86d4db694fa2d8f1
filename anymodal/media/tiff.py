"""TIFF files: which of their pages is the picture, and whether all of it is there (TIFF 6.0)."""

from __future__ import annotations

import struct

import numpy as np

from anymodal.media.limits import MediaError
from anymodal.media.picture_file import PictureFile, damaged_error, image_cut_short
from anymodal.media.source import TIFF, Blob
from anymodal.media.tiff_tags import Directory, directory, first

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS, _COUNTS, _PLANAR = 273, 274, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_SUB_DIRECTORIES, _THUMBNAIL, _PROFILE, _DNG = 330, 513, 34675, 50706
_KEPT = frozenset({
    _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, 266, _OFFSETS, _SAMPLES, _ROWS, _COUNTS,
    _PLANAR, 292, 293, 317, 320, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, 332, 338,
    339, 347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532, 50674,
})  # fmt: skip
"""Tags that the pixels need: layout, palette, extra channels, settings of the compression."""
_STRIPS = frozenset({_OFFSETS, _ROWS, _COUNTS})
_TILES = frozenset({_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS})
_PAGES = 1000
_TAG = 2**20  # bytes that a tag may have, the places of strips and tiles aside
_NS_PER_PIECE = 10_000  # Pillow lists uncompressed strips and tiles one by one
_RAW, _OLD_JPEG, _CFA = 1, 6, 32803


def read_tiff(blob: Blob) -> PictureFile:
    """The header of a TIFF file of one picture; its data with a directory of that alone.

    Raises:
        ValueError: if it holds several pages, a camera's raw picture, is cut short or damaged.
    """
    page = _page(blob)
    bits, samples = max(1, page.number(_BITS, 1)), max(1, page.number(_SAMPLES, 1))
    width, height = page.number(_WIDTH), page.number(_HEIGHT)
    piece_samples, pieces = _layout(blob, page, width, height)
    photometric = page.number(_PHOTOMETRIC)
    deep = samples == 1 and bits > 8
    return PictureFile(
        _rewritten(blob, page, pieces),
        width,
        height,
        per_pixel=(4 if samples > 1 or bits > 16 else 2 if bits > 8 else 1),
        extra=piece_samples * bits / 8 + 200 * pieces,
        effort=25 * width * height + _NS_PER_PIECE * pieces + 6 * piece_samples * pieces,
        profile=page.bytes(_PROFILE),
        orientation=_orientation_of(page),
        white=(1 << bits) - 1 if deep and bits < 16 else 0,
        min_is_white=deep and photometric == 0,
    )


def _orientation_of(page: Directory) -> int:
    value = page.number(_ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def _page(blob: Blob) -> Directory:
    """The one directory that is no thumbnail, smaller copy or mask."""
    data = blob.data
    order, big, at = first(data)
    offsets, pages, smaller = set[int](), list[Directory](), list[Directory]()
    while at and at not in offsets and len(offsets) < _PAGES:
        offsets.add(at)
        page = directory(data, at, order, big)
        if page is None:
            raise image_cut_short(blob)
        # NewSubfileType: bit 0 is a smaller copy, bit 2 a mask (TIFF 6.0, section 8).
        copy = page.number(_SUBFILE) & 5 or (pages and _THUMBNAIL in page.entries)
        (smaller if copy else pages).append(page)
        at = page.next
    raw = [*pages[:1], *smaller[:1]]
    if any(_DNG in p.entries or p.number(_PHOTOMETRIC) == _CFA for p in raw) or (
        not pages and any(_SUB_DIRECTORIES in p.entries for p in smaller)
    ):
        raise MediaError(
            f"{blob.name} is a camera's raw picture (in TIFF), which is not read here; develop it "
            "to JPEG or TIFF (in the camera's software, darktable or RawTherapee)"
        )
    if len(pages) > 1:
        raise MediaError(
            f"{blob.name} holds {len(pages)} pages, and a picture is one; save each as a file "
            "of its own (convert a.tiff page-%d.png)"
        )
    if not pages and not smaller:
        raise damaged_error(blob, TIFF, "it has no directory")
    return pages[0] if pages else smaller[0]


def _layout(blob: Blob, page: Directory, width: int, height: int) -> tuple[float, int]:
    """Samples of a strip or tile, and how many there are, each checked to be in the file."""
    end = max((entry.at + entry.size for entry in page.entries.values()), default=0)
    if end > len(blob.data):
        raise image_cut_short(blob, end)
    if not width or not height:
        raise damaged_error(blob, TIFF, "it has no size")
    if page.number(_COMPRESSION, 1) == _OLD_JPEG and _THUMBNAIL in page.entries:
        at, size = page.number(_THUMBNAIL), page.number(514)
        if at + size > len(blob.data):
            raise image_cut_short(blob, at + size)
        return float(width * height) * 3, 1
    has_tiles = _TILE_WIDTH in page.entries  # as libtiff decides
    across = page.number(_TILE_WIDTH) if has_tiles else width
    down = page.number(_TILE_HEIGHT) if has_tiles else min(page.number(_ROWS, height), height)
    if not across or not down:
        raise damaged_error(blob, TIFF, "its strips or tiles have no size")
    samples = max(1, page.number(_SAMPLES, 1))
    planes = samples if page.number(_PLANAR, 1) == 2 else 1
    pieces = -(-width // across) * -(-height // down) * planes
    offsets = page.numbers(_TILE_OFFSETS if has_tiles else _OFFSETS)
    counts = page.numbers(_TILE_COUNTS if has_tiles else _COUNTS)
    if len(offsets) < pieces:
        raise damaged_error(blob, TIFF, f"it names {len(offsets):,} of {pieces:,} strips or tiles")
    if page.number(_COMPRESSION, 1) == _RAW and not has_tiles:
        row = (width * max(1, page.number(_BITS, 1)) * (samples // planes) + 7) // 8
        rows = np.minimum(down, height - down * (np.arange(pieces) % (pieces // planes)))
        counts = row * rows
    if len(counts) >= pieces:
        end = int((offsets[:pieces] + counts[:pieces]).max())
        if end > len(blob.data):
            raise image_cut_short(blob, end)
    return float(across) * down * (samples // planes), pieces


def _rewritten(blob: Blob, page: Directory, pieces: int) -> bytes:
    """The file with its header pointing to a new directory at its end, of what pixels need.

    All values stay where they are. What else a directory may hold, chains, loops and EXIF
    included, is out of Pillow's way.
    """
    order, big, _ = first(blob.data)
    other = _STRIPS if _TILE_WIDTH in page.entries else _TILES
    rows = [
        entry.raw
        for tag, entry in sorted(page.entries.items())
        if tag in _KEPT - other and entry.size <= max(_TAG, 16 * pieces)
    ]
    start = len(blob.data) + len(blob.data) % 2
    head = struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0) if big else (42,)), start)
    head = blob.data[:2] + head
    count = struct.pack(order + ("Q" if big else "H"), len(rows))
    padding = bytes(start - len(blob.data))
    parts: list[bytes | memoryview] = [head, memoryview(blob.data)[len(head) :], padding, count]
    return b"".join([*parts, *rows, bytes(8)])
