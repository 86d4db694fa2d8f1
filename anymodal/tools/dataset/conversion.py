"""A data set in another container, its media packed into it or in files beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from anymodal.data.columns import file_column
from anymodal.data.containers import Row
from anymodal.data.containers.braces import expand_braces
from anymodal.data.containers.folders import METADATA, TABLES, suffix_of
from anymodal.data.row_samples import RowSamples
from anymodal.media import Limits, Media
from anymodal.media.base import kind_of_suffix
from anymodal.tools.dataset.media_values import bytes_of, data_url, map_media
from anymodal.tools.dataset.statistics import Sample, readable
from anymodal.tools.dataset.writers import (
    WRITERS,
    json_text,
    write_lines,
    write_shards,
    write_table,
)

PACKED, REFERENCED = "packed", "referenced"
MEDIA = (PACKED, REFERENCED)
_HOLDS_BYTES = (".parquet", ".pq", ".arrow", ".feather")


def prefix_of(folder: Path, home: Path) -> str | None:
    """The prefix of names that start in a folder, where they are to start in another one.

    None where the folder doesn't lie within that: names may not lead out of it.
    """
    try:
        place = folder.resolve().relative_to(home.resolve()).as_posix()
    except ValueError:
        return None
    return "" if place == "." else f"{place}/"


class Converter:
    """Writes rows of a data set to another container.

    Args:
        source: the data set.
        media: `packed` into the rows, or `referenced`: named where they lie in files, and written
            to files in `NAME-media/` beside the output where the rows held them. Where the files
            don't lie below the output, names start in the data set's folder as before.
        limits: what is too much of a file.
    """

    def __init__(
        self, source: RowSamples[Sample], media: str = REFERENCED, limits: Limits | None = None
    ) -> None:
        if media not in MEDIA:
            raise ValueError(f"media={media!r} is none of {', '.join(MEDIA)}")
        self.source, self.media, self.limits = source, media, limits or Limits()
        self.written = 0
        self.media_folder = Path()
        self._home = source.folder  # of the row at hand

    def write(self, out: str, rows: Sequence[int] | None = None) -> None:
        """Write rows to a file, or to shards, by the suffix of its name; to a folder without one.

        Args:
            out: the name, such as `a.jsonl`, `a.csv.gz`, `a.parquet` or `s-{000..009}.tar`; or of a
                folder, for the media and a table that Hugging Face's `datasets` reads too.
            rows: their numbers; all where None.

        Raises:
            ValueError: for a name of no container, one that is there already, or a row that can't
                be read, or whose media can't, with its place.
            OSError: if a file can't be written.
        """
        suffix = suffix_of(out)
        if suffix not in ("", *TABLES):
            raise ValueError(
                f"{out} names no container; end it in one of {', '.join(TABLES)}, or name a folder"
            )
        names = expand_braces(out)
        for name in names:
            if os.path.exists(name):
                raise ValueError(f"{name} is there already; name another file")
        numbers = range(len(self.source)) if rows is None else rows
        path = Path(names[0])
        self.media_folder = path.parent / f"{path.name.split('.')[0]}-media"
        if suffix == "":
            self.media_folder = path
            path.mkdir(parents=True)
            write_lines(path / METADATA[0], map(self._folder_row, numbers))
        elif suffix == ".tar":
            write_shards(out, len(numbers), map(self._members, numbers))
        elif len(names) > 1:
            raise ValueError(f"{out} names {len(names)} files; of these, shards (.tar) are written")
        elif suffix in WRITERS:
            WRITERS[suffix](path, self._rows(numbers, suffix, path.parent))
        else:
            columns = list(dict.fromkeys(key for n in numbers for key in self.source.entry(n)))
            write_table(path, self._rows(numbers, suffix, path.parent), columns)

    def _rows(self, numbers: Sequence[int], suffix: str, home: Path) -> Iterator[Row]:
        holds_bytes = suffix in _HOLDS_BYTES

        def pack(value: object, kind: str) -> object:
            data, ending = self._bytes(value)
            if not holds_bytes:
                return data_url(data)
            return {"bytes": data, "path": f"0{ending or Media.kinds[kind].suffix}"}

        def refer(value: object, kind: str) -> object:
            if isinstance(value, str) and not value.startswith("data:"):
                return inside + value
            if isinstance(value, dict) and value.get("path") and value.get("bytes") is None:
                return {**value, "path": inside + str(value["path"])}
            data, ending = self._bytes(value)
            return self._file(data, ending or Media.kinds[kind].suffix, home)

        change = pack if self.media == PACKED else refer
        for number in numbers:
            row = self._entry(number)
            self._home = self.source.rows.home(number)
            inside = self._prefix(home)
            try:
                yield map_media(row, change)
            except ValueError as error:
                raise ValueError(f"{self.source.rows.place(number)}: {error}") from error

    def _folder_row(self, number: int) -> Row:
        """A row of a folder's table, its media written beside that."""
        self._home = self.source.rows.home(number)

        def write(value: object, kind: str) -> object:
            data, ending = self._bytes(value)
            return self._file(data, ending or Media.kinds[kind].suffix, self.media_folder)

        try:
            row = map_media(self._entry(number), write)
        except ValueError as error:
            raise ValueError(f"{self.source.rows.place(number)}: {error}") from error
        columns = {key: file_column(key, value) for key, value in row.items()}
        if len({*columns.values()}) < len(columns):  # media of two kinds
            return row
        return {columns[key]: value for key, value in row.items()}

    def _prefix(self, home: Path) -> str:
        """The prefix of a row's names of media, which start below the output or as before."""
        inside = prefix_of(self._home, home)
        return inside if inside is not None else prefix_of(self._home, self.source.folder) or ""

    def _entry(self, number: int) -> Row:
        return self.source.entry(number)

    def _bytes(self, value: object) -> tuple[bytes, str]:
        try:
            return bytes_of(value, self._home, self.limits)
        except OSError as error:  # of a row, where one of writing is of the output
            raise ValueError(readable(error)) from error

    def _file(self, data: bytes, suffix: str, home: Path) -> str:
        """Write a medium that a row held to a file of its own; its name."""
        self.media_folder.mkdir(parents=True, exist_ok=True)
        path = self.media_folder / f"{self.written:08d}{suffix}"
        if path.exists():
            raise ValueError(f"{path} is there already; name another output, or move that folder")
        with path.open("xb") as file:
            file.write(data)
        self.written += 1
        return path.relative_to(home).as_posix()

    def _members(self, number: int) -> Iterator[tuple[str, bytes]]:
        """The members of a row in a shard."""
        row = self._entry(number)
        self._home = self.source.rows.home(number)
        stem = f"{number:09d}"
        rest: Row = {}
        try:
            for key, value in row.items():
                kind = next((k for k in Media.kinds if key in (k, f"{k}s")), None)
                items = value if isinstance(value, list) else [value]
                if kind is None or not value or (key == kind) != (len(items) == 1):
                    rest[key] = value
                    continue
                for place, item in enumerate(items):
                    data, suffix = self._bytes(item)
                    if kind_of_suffix(suffix) != kind:
                        suffix = Media.kinds[kind].suffix
                    yield f"{stem}.{place}{suffix}" if len(items) > 1 else f"{stem}{suffix}", data
            rest = map_media(rest, lambda value, _: data_url(self._bytes(value)[0]))
        except ValueError as error:
            raise ValueError(f"{self.source.rows.place(number)}: {error}") from error
        caption = rest.get("caption")
        if isinstance(caption, str) and caption and caption == caption.strip():
            yield f"{stem}.txt", rest.pop("caption").encode()
        rest.pop("id", None)
        if rest:
            yield f"{stem}.json", json_text(rest).encode()
