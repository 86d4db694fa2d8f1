"""Copies with random access of files that have none: compressed, or in another encoding."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from anymodal.data.containers.files import DataFile
from anymodal.data.containers.side_files import side_file
from anymodal.media.limits import mib

_PIECE = 1 << 22
_FREE_BYTES = 64 << 20
MAX_RATIO = 200
"""Times its size that a compressed file may unpack to, beyond 64 MiB: JSON packs 5 to 50 times."""


def _open_zip(packed: BinaryIO, mode: str) -> IO[bytes]:
    """The only file of a zip archive, as MMC4's documents are published."""
    archive = zipfile.ZipFile(packed)
    names = [info for info in archive.infolist() if not info.is_dir()]
    if len(names) != 1:
        name = os.path.basename(str(getattr(packed, "name", "the archive")))
        raise ValueError(f"{name} has {len(names)} files, not one; unpack it yourself")
    return archive.open(names[0])


def _open_zstd(packed: BinaryIO, mode: str) -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        name = os.path.basename(str(getattr(packed, "name", "a .zst")))
        raise ValueError(
            f"{name} is unpacked by pyarrow; pip install 'anymodal[parquet]', or unpack it "
            "yourself (zstd -d)"
        ) from error
    return pyarrow.CompressedInputStream(packed, "zstd")


_COMPRESSED: dict[str, Callable[..., object]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zip": _open_zip,
    ".zst": _open_zstd,
}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def plain_name(name: str) -> str:
    """A file's name without the suffix of what compressed it."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in _COMPRESSED else name


def unpacked(file: DataFile, index_dir: str | Path | None = None) -> DataFile:
    """A file's copy without compression, or the file itself where it has none.

    Raises:
        OSError: if the copy can't be written.
        ValueError: if the file is damaged, or unpacks to more than `MAX_RATIO` times its size.
    """
    suffix = os.path.splitext(file.path)[1].lower()
    if suffix not in _COMPRESSED:
        return file

    def write(path: Path) -> None:
        with file.open() as packed, path.open("wb") as out:
            for piece in _unpack(packed, suffix, file):
                out.write(piece)

    return DataFile.of(side_file(file.stamp, ".plain", write, index_dir))


def _unpack(packed: BinaryIO, suffix: str, file: DataFile) -> Iterator[bytes]:
    most = max(_FREE_BYTES, MAX_RATIO * file.size)
    total = 0
    for piece in _pieces(packed, suffix, file):
        total += len(piece)
        if total > most:
            raise ValueError(
                f"{file.name} is {mib(file.size)} and unpacks to more than {mib(most)}, as no "
                "list of samples does; unpack it yourself if it is meant to"
            )
        yield piece


_DAMAGED = (EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What modules of the standard library, and pyarrow, raise for damaged, cut and encrypted files."""


def _pieces(packed: BinaryIO, suffix: str, file: DataFile) -> Iterator[bytes]:
    try:
        with cast(BinaryIO, _COMPRESSED[suffix](packed, "rb")) as stream:
            while piece := stream.read(_PIECE):
                yield piece
    except _DAMAGED as error:
        if getattr(error, "errno", None) is not None:  # the disk's fault, not the content's
            raise
        raise ValueError(
            f"{file.name} is damaged or cut short ({error}); download it again"
        ) from None


def in_utf8(file: DataFile, index_dir: str | Path | None = None) -> DataFile:
    """A UTF-16 file's copy in UTF-8, or the file itself where it is none.

    Raises:
        OSError: if the copy can't be written.
    """
    if file.size < 2 or file.read(0, 2) not in _UTF_16:  # as PowerShell's redirection writes
        return file

    def write(path: Path) -> None:
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        with file.open() as source, path.open("wb") as out:
            while piece := source.read(_PIECE):
                out.write(decoder.decode(piece).encode("utf-8", "replace"))
            out.write(decoder.decode(b"", final=True).encode("utf-8", "replace"))

    return DataFile.of(side_file(file.stamp, ".utf8", write, index_dir))
