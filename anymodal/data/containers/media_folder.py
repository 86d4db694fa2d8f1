"""Folders of media files: with a text beside each, or in a folder for each class."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Hashable, Iterator
from pathlib import Path

from anymodal.data.containers.base import Row, RowSource
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.index import open_index
from anymodal.data.containers.json_lines import JsonLines, scan_lines
from anymodal.data.containers.side_files import make_home, side_file
from anymodal.media.base import kind_of_suffix

MAX_TEXT_BYTES = 1 << 20
"""Of a text beside a media file."""
_TEXT = ".txt"


class MediaFolder(RowSource):
    """Media files of a folder, in the order of their names.

    Where a `.txt` lies beside each, it is the `caption`; else the folder that a file lies in is its
    `label`. The list of files is made once and made anew when a folder's content changes.

    Args:
        folder: the folder.
        index_dir: a folder for the list, instead of `folder` itself.

    Raises:
        ValueError: if it holds no media files, or some with a text and some without.
    """

    container = "folder of media"

    def __init__(self, folder: Path, index_dir: str | Path | None = None) -> None:
        self.folder = folder
        files = str(folder.absolute() / "files")
        # First, since it may change the folder's time: another opening would make another list, and
        # remove the one that this one reads.
        make_home(files, index_dir)
        # A folder's time changes when a file in it comes, goes or gets another name.
        state = "\n".join(f"{path} {os.stat(path).st_mtime_ns}" for path in folders_of(folder))
        version = hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
        source = DataFile(files, 0, version)
        path = side_file(source.stamp, ".jsonl", lambda path: _write_list(folder, path), index_dir)
        file = DataFile.of(path)
        index = open_index(source, lambda: scan_lines(file), index_dir)
        self._rows = JsonLines(file, index, file, folder)
        self.labels = {"label": _classes(folder)}

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, index: int) -> Row:
        row = self._rows.read(index)
        if "text" in row:
            row["caption"] = self._text(row.pop("text"), index)
        return row

    def _text(self, name: str, index: int) -> str:
        file = DataFile.of(self.folder / name)
        if file.size > MAX_TEXT_BYTES:
            raise ValueError(f"{self.place(index)}: {name} has more than {MAX_TEXT_BYTES:,} bytes")
        return file.read(0, file.size).decode("utf-8-sig", "replace").strip()

    def place(self, index: int) -> str:
        return f"{self.folder.name}/{self._rows.read(index)['file_name']}"

    def size(self, index: int) -> int:
        return 0

    def stamp(self, index: int) -> Hashable:
        row = self._rows.read(range(len(self))[index])
        return tuple(DataFile.of(self.folder / name).stamp for name in row.values() if "." in name)

    @property
    def files(self) -> list[str]:
        return [str(self.folder)]


def folders_of(folder: Path) -> Iterator[Path]:
    """A folder and those within it, in order, without hidden ones."""
    for home, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(home)


def _classes(folder: Path) -> list[str]:
    """The names of the folders within one that media files lie in."""
    homes = (home for home in folders_of(folder) if home != folder)
    return sorted({home.name for home in homes if any(map(_is_medium, os.scandir(home)))})


def _is_medium(entry: os.DirEntry[str]) -> bool:
    suffix = os.path.splitext(entry.name)[1]
    return suffix.lower() != _TEXT and entry.is_file() and kind_of_suffix(suffix) is not None


def _write_list(folder: Path, path: Path) -> None:
    count = texts = 0
    with path.open("w", encoding="utf-8") as out:
        for home in folders_of(folder):
            names = sorted(entry.name for entry in os.scandir(home) if entry.is_file())
            beside = {name for name in names if name.lower().endswith(_TEXT)}
            place = home.relative_to(folder)
            for name in names:
                stem, suffix = os.path.splitext(name)
                if name.startswith(".") or name in beside or kind_of_suffix(suffix) is None:
                    continue
                row = {"file_name": (place / name).as_posix()}
                text = next(
                    (stem + end for end in (_TEXT, _TEXT.upper()) if stem + end in beside), ""
                )
                if text:
                    row["text"] = (place / text).as_posix()
                    texts += 1
                elif place.parts:
                    row["label"] = place.parts[-1]
                count += 1
                out.write(json.dumps(row) + "\n")
    if not count:
        raise ValueError(f"{folder} holds no data: no table, no shards and no media files")
    if texts not in (0, count):
        raise ValueError(
            f"{folder}: {texts} of {count} media files have a .txt beside them; give each one, or "
            "write a metadata.csv with the columns file_name and text"
        )
