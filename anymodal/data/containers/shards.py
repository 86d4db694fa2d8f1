"""WebDataset: samples as files of one stem, one after the other in tar archives."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from anymodal.config.printable import printable
from anymodal.data.containers.base import Row
from anymodal.data.containers.copies import unpacked
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.index import BrokenRows, Spans, open_index
from anymodal.data.containers.side_files import read_json_text
from anymodal.data.containers.spans import SpanRows
from anymodal.media.base import kind_of_suffix

_BLOCK = 1 << 14
_TEXTS = ("txt", "text", "caption")
_NAME = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)")


class TarRows(SpanRows):
    """Rows of a shard: members of one stem that follow each other are one sample.

    A member's suffix is its column. `.json` holds more columns, `.txt` is the `caption`, `.cls` the
    `label`, and a media file stands under its kind, several of a kind in order under `Ms`. The stem
    is the `id`. Nothing is written to the disk, and members with `..` in their names, links and
    devices are refused.
    """

    container = "WebDataset"
    max_row_bytes = 1 << 30

    @classmethod
    def open(cls, file: DataFile, folder: Path, index_dir: str | Path | None = None) -> Self:
        """The rows of a shard, see `JsonLines.open`.

        Raises:
            ValueError: if it is no tar archive, or has members that are refused.
        """
        plain = unpacked(file, index_dir)
        index = open_index(file, lambda: scan_members(plain, file.path), index_dir)
        return cls(plain, index, file, folder)

    def place(self, index: int) -> str:
        return f"{self.source.name}, sample {index}"

    def size(self, index: int) -> int:
        return 0  # of media, which says nothing of the sample's length

    def parse(self, data: bytes, index: int) -> Row:
        place = self.place(index)
        members: dict[str, bytes] = {}
        stem = ""
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                if not member.isreg():
                    continue
                stem, column = _split(member.name) or ("", "")
                if column in members:
                    raise ValueError(f"{place}: {printable(stem)} has two .{column}; rename one")
                content = archive.extractfile(member)
                assert content is not None, "it is a regular file"
                members[column] = content.read()
        return _row(stem, members, place)


def _split(name: str) -> tuple[str, str] | None:
    """A member's stem and suffixes, from the first dot of its last part on; None if hidden."""
    match = _NAME.fullmatch(name.removeprefix("./"))
    return (match[1], match[2].lower()) if match else None


def _row(stem: str, members: dict[str, bytes], place: str) -> Row:
    row: Row = {"id": stem}
    media: dict[str, list[Row]] = {}
    for column, data in members.items():
        name = column.rpartition(".")[2]
        values: Row
        if name == "json":
            value = read_json_text(data.decode("utf-8-sig", "replace"), f"{place}, .{column}")
            values = value if isinstance(value, dict) else {column: value}
        elif column in _TEXTS:
            values = {"caption": data.decode("utf-8-sig", "replace").strip()}
        elif column == "cls":
            values = {"label": data.decode("utf-8-sig", "replace").strip()}
        elif kind := kind_of_suffix(f".{name}"):
            media.setdefault(kind, []).append({"bytes": data, "path": f"{stem}.{column}"})
            continue
        else:
            values = {column: data}
        for key, value in values.items():
            if _stripped(row.setdefault(key, value)) != _stripped(value) and key != "id":
                raise ValueError(
                    f"{place} has two values of {key!r}, in .{column} and before; leave one out "
                    "when the shards are written"
                )
    for kind, items in media.items():
        row[kind if len(items) == 1 else f"{kind}s"] = items[0] if len(items) == 1 else items
    return row


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def scan_members(file: DataFile, path: str) -> Iterator[Spans]:
    """The samples of a shard: the range of each one's members, their headers included.

    Where the archive breaks, the whole samples before stand.
    """
    broken: BrokenRows | None = None
    block: list[tuple[int, int, int]] = []
    with file.open() as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for sample in _samples(archive, path):
                    block.append(sample)
                    if len(block) == _BLOCK:
                        yield np.array(block, np.int64)
                        block = []
        except BrokenRows as error:
            broken = error
        except tarfile.TarError as error:
            raise ValueError(f"{path} is no tar archive: {error}") from None
    yield np.array(block, np.int64).reshape(-1, 3)
    if broken is not None:
        raise broken


def _samples(archive: tarfile.TarFile, path: str) -> Iterator[tuple[int, int, int]]:
    stem, start, stop, count = "", 0, 0, 0
    for member in _members(archive, path):
        name = _split(member.name)
        if name is None:
            continue
        if name[0] != stem:
            if stem:
                yield start, stop, count
                count += 1
            stem, start = name[0], member.offset
        stop = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    if stem:
        yield start, stop, count


def _members(archive: tarfile.TarFile, path: str) -> Iterator[tarfile.TarInfo]:
    """The regular files of an archive, without holding all of them."""
    try:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]
            if member.isdir():
                continue
            name = printable(member.name)
            if not member.isreg() or member.issparse():
                raise ValueError(f"{path}: {name} is a link, a device or sparse; write plain files")
            if member.name.startswith("/") or ".." in member.name.split("/"):
                raise ValueError(f"{path}: {name} leads out of the archive; write it anew")
            yield member
    except tarfile.TarError as error:
        raise BrokenRows(f"{path} is damaged or cut short ({error})") from None
    # A damaged header ends an archive for tarfile as the block of zeros does that should end it.
    stream = archive.fileobj
    assert stream is not None, "it is open"
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise BrokenRows(f"{path} is damaged or cut short at byte {stream.tell():,}")
