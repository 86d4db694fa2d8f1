"""Bytes of media, their true format, and files that appear at once."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from anymodal.config.printable import printable
from anymodal.media.formats import MP3, SOUND_AND_VIDEO
from anymodal.media.formats import Format as Format
from anymodal.media.limits import DecodeBudget, Limits, MediaError
from anymodal.media.tags import audio_start
from anymodal.media.text import is_marked_text, is_text
from anymodal.media.unread import unread

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""The argument of `load`: a path, the bytes themselves, or a binary file object."""


@dataclass(frozen=True)
class Blob:
    """The bytes of a medium, with the name that messages call it by.

    Args:
        data: the bytes, without an ID3 tag before them.
        name: what messages call it.
        path: where it lies, if it does.
        has_id3: whether there was such a tag.
        budget: the time that decoding may take.
    """

    data: bytes
    name: str = "the given data"
    path: Path | None = None
    has_id3: bool = False
    budget: DecodeBudget = field(default_factory=DecodeBudget)

    @classmethod
    def of(cls, data: bytes, limits: Limits, name: str, path: Path | None = None) -> Blob:
        """A blob of bytes as they were read, its budget running from now on."""
        start = audio_start(data)
        budget = limits.budget(name, len(data))
        return cls(data[start:], name, path, start > 0, budget)

    @property
    def suffix(self) -> str:
        """The file's suffix in lower case, or nothing."""
        return self.path.suffix.lower() if self.path else ""


PNG = Format("PNG", "picture")
JPEG = Format("JPEG", "picture")
WEBP = Format("WebP", "picture")
GIF = Format("GIF", "gif", "gif")
TIFF = Format("TIFF", "picture")
BMP = Format("BMP", "picture")
AVIF = Format("AVIF", "picture")
JPEG2000 = Format("JPEG 2000", "picture")
PNM = Format("PPM/PGM/PBM/PFM", "picture")
QOI = Format("QOI", "picture")
ICO = Format("ICO", "picture")
NPY = Format("NPY", "array")
PLY = Format("PLY", "cloud")
TEXT = Format("text", "table")
OTHER = Format("something else", "")

_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (rb"\x89PNG\r\n\x1a\n", PNG),
    (rb"\xff\xd8\xff", JPEG),
    (rb"RIFF....WEBP", WEBP),
    (rb"GIF8[79]a", GIF),
    (rb"(?:II\x2a\0|MM\0\x2a|II\x2b\0|MM\0\x2b)", TIFF),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", BMP),
    (rb"....ftyp(?:avi[fs]|(?:mif[12]|msf1|miaf).{0,120}avi[fs])", AVIF),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", JPEG2000),
    (rb"P[1-6f]\s+(?:#[^\n]*\n\s*)*\d+\s", PNM),
    (rb"qoif", QOI),
    (rb"\0\0\x01\0[^\0]\0.{3}\0", ICO),
    (rb"\x93NUMPY", NPY),
    (rb"ply\r?\n", PLY),
    *SOUND_AND_VIDEO,
)
_LOADS = (
    "PNG, JPEG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000, "
    "WAV, FLAC, Ogg, MP3, AAC, MP4, WebM, AVI, MPEG, CSV, PLY and NPY"
)


def read_source(source: Source, limits: Limits) -> Blob:
    """All bytes of a source, no more than `limits.max_bytes` of them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a URL, a folder, empty or too large.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        size = source.nbytes if isinstance(source, memoryview) else len(source)
        limits.check_bytes("the given data", size)
        return Blob.of(bytes(source), limits, "the given data")
    if isinstance(source, str | os.PathLike):
        return _read_path(source, limits)
    if not hasattr(source, "read"):
        raise MediaError(
            f"cannot load from a {type(source).__name__}; give a path, bytes or a binary file"
        )
    # One byte more than allowed tells a file that is too large, without reading all of it.
    data = source.read(limits.max_bytes + 1)
    if not isinstance(data, bytes):
        raise MediaError("the file object gives text; open it in binary mode, open(path, 'rb')")
    file_name = getattr(source, "name", None)
    path = Path(file_name) if isinstance(file_name, str) else None
    name = printable(path.name) if path else "the given file"
    limits.check_bytes(name, len(data))
    return Blob.of(data, limits, name, path)


def check_file(source: str | os.PathLike[str], limits: Limits) -> tuple[Path, str]:
    """The path of a regular file of a size within the limits, and the name for messages.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a URL, a folder, empty or too large.
    """
    text = os.fspath(source)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|data:", text):
        raise MediaError(
            f"{printable(text)} is a URL, and remote URLs are off; download it and give the file"
        )
    path = Path(text)
    name = printable(path.name or text)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            errno.ENOENT,
            "no such file; check the spelling (a relative path starts at the current directory)",
            text,
        ) from None
    except PermissionError:
        raise
    except (OSError, ValueError):
        raise MediaError(f"{name} is no valid path; give a path, or bytes for content") from None
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device could block or never end
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise MediaError(f"{name} is {what}; name one media file")
    limits.check_bytes(name, status.st_size)
    return path, name


def _read_path(source: str | os.PathLike[str], limits: Limits) -> Blob:
    path, name = check_file(source, limits)
    with path.open("rb") as file:
        data = file.read(limits.max_bytes + 1)
    limits.check_bytes(name, len(data))  # again: the file may have grown since
    return Blob.of(data, limits, name, path)


def sniff(blob: Blob, or_else: Format | None = None) -> Format:
    """The format of a blob by its first bytes, whatever its name says.

    Raises:
        ValueError: if it is no format that is loaded here, and there is no `or_else`.
    """
    head = blob.data[:4096]
    if is_marked_text(head):
        return TEXT
    if reason := unread(head):  # before the others: HEIC, for one, is told from MP4 by its brand
        if or_else is not None:
            return or_else
        raise MediaError(f"{blob.name} is {reason[0]}, which is not read here; {reason[1]}")
    for pattern, fmt in _MAGIC:
        if re.match(pattern, head, re.DOTALL):
            return fmt
    if blob.has_id3:  # what stands behind an ID3 tag and is nothing else
        return MP3
    if is_text(head):
        return TEXT
    if or_else is not None:
        return or_else
    start = head[:8].hex(" ")
    raise MediaError(
        f"{blob.name} is of no known media format (it starts with the bytes {start}); "
        f"convert it to one of {_LOADS}"
    )


def write_file(path: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there, so that a full disk leaves the old one.

    Raises:
        FileNotFoundError: if the folder does not exist.
        OSError: if it cannot be written; the old file, if any, is as it was.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "no such folder to save in; make it first", str(path.parent)
        )
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
