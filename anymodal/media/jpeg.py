"""JPEG files: their segments (ITU-T T.81, annex B)."""

from __future__ import annotations

import re

from anymodal.media.color import ADOBE_RGB, matrix_profile
from anymodal.media.limits import MediaError
from anymodal.media.picture_file import PictureFile, damaged_error, image_cut_short
from anymodal.media.source import JPEG, Blob
from anymodal.media.tiff_tags import orientation, says_adobe_rgb

_SEGMENTS = 50_000
_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_SCAN_END = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a length
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOS, _EOI, _COM, _JFIF, _EXIF, _ICC, _ADOBE = 0xDA, 0xD9, 0xFE, 0xE0, 0xE1, 0xE2, 0xEE
_PROFILE = b"ICC_PROFILE\0"
_NS_PER_BYTE, _NS_PER_SAMPLE, _NS_PER_SCAN_SAMPLE = 30, 2.5, 1.2


class _Frame:
    """The frame header, and the samples that the scans so far went over."""

    def __init__(self, blob: Blob, marker: int, content: bytes) -> None:
        count = content[5] if len(content) > 5 else 0
        if len(content) < 6 + 3 * count or not count:
            raise damaged_error(blob, JPEG, "its frame header")
        if content[0] != 8:
            raise MediaError(
                f"{blob.name} is JPEG of {content[0]} bits per channel, and 8 are read; convert "
                "it to PNG"
            )
        self.height = int.from_bytes(content[1:3], "big")
        self.width = int.from_bytes(content[3:5], "big")
        # SOF2, 6, 10 and 14 are progressive; from SOF9 on they are arithmetic (T.81, table B.1).
        self.progressive = marker & 3 == 2
        self.arithmetic = bool(marker & 8)
        factors = {
            content[at]: max(1, content[at + 1] >> 4) * max(1, content[at + 1] & 15)
            for at in range(6, 6 + 3 * count, 3)
        }
        pixels = self.width * self.height
        most = max(factors.values())
        self.samples = {name: pixels * area / most for name, area in factors.items()}
        self.channels = count
        self.scans = 0
        self.scan_samples = 0.0

    def scan(self, content: bytes) -> None:
        """Count a scan by its header."""
        names = content[1 : 1 + 2 * content[0] : 2] if content else b""
        self.scans += 1
        self.scan_samples += sum(self.samples.get(name, 0) for name in names)


def read_jpeg(blob: Blob) -> PictureFile:
    """The header of a JPEG file; its data up to its end, without comments and what programs add.

    Raises:
        ValueError: if it is cut short, damaged, or of more than 8 bits.
    """
    data = blob.data
    parts, at = [data[:2]], 2
    exif, icc = b"", dict[int, bytes]()
    frame: _Frame | None = None
    for _ in range(_SEGMENTS):
        match = _MARKER.search(data, at)
        if match is None:
            raise image_cut_short(blob)
        marker, at = match[1][0], match.end()
        if marker == _EOI:
            parts.append(b"\xff\xd9")
            break
        if marker in _ALONE:
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or end < at + 2:
            raise image_cut_short(blob)
        content, stop = data[at + 2 : end], end
        if marker in _SOF and frame is None:
            frame = _Frame(blob, marker, content)
        elif marker == _SOS and frame is not None:
            frame.scan(content)
            following = _SCAN_END.search(data, end)
            stop = following.start() if following else len(data)
        elif marker == _EXIF and content.startswith(b"Exif\0\0"):
            exif = exif or content
        elif marker == _ICC and content.startswith(_PROFILE) and len(content) > 14:
            icc.setdefault(content[12], content[13:])
        # JFIF and Adobe segments tell the colour space; other APPn and comments are of no use.
        if marker in (_JFIF, _ADOBE) or not (0xE0 <= marker <= 0xEF or marker == _COM):
            parts += [b"\xff", data[at - 1 : stop]]
        at = stop
    else:
        raise MediaError(f"{blob.name} is JPEG of more than {_SEGMENTS:,} segments; save it anew")
    if frame is None or not frame.scans:
        raise damaged_error(blob, JPEG, "it holds no picture")
    return _file(b"".join(parts), frame, _profile(icc, exif, frame), orientation(exif))


def _profile(icc: dict[int, bytes], exif: bytes, frame: _Frame) -> bytes:
    """The profile of all its numbered parts; else what EXIF declares."""
    parts = [icc[number] for number in sorted(icc)]
    if parts and sorted(icc) == list(range(1, parts[0][0] + 1)):
        return b"".join(part[1:] for part in parts)
    if frame.channels == 3 and not parts and says_adobe_rgb(exif):
        return matrix_profile(*ADOBE_RGB)
    return b""


def _file(data: bytes, frame: _Frame, profile: bytes, exif_orientation: int) -> PictureFile:
    samples = sum(frame.samples.values())
    # A decoder keeps all coefficients until the last scan.
    keeps_coefficients = frame.progressive or frame.scans > 1
    scanning = _NS_PER_SCAN_SAMPLE * frame.scan_samples * (10 if frame.arithmetic else 1)
    effort = _NS_PER_BYTE * len(data) + _NS_PER_SAMPLE * samples + scanning
    return PictureFile(
        data,
        frame.width,
        frame.height,
        1 if frame.channels == 1 else 4,
        extra=2 * samples if keeps_coefficients else 0,
        effort=effort,
        profile=profile,
        orientation=exif_orientation,
    )
