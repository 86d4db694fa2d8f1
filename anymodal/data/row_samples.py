"""Samples that are read from the rows of a container."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from anymodal.config import suggest
from anymodal.data.columns import ColumnMapping
from anymodal.data.containers import Row, open_rows
from anymodal.data.entries import EntryReader
from anymodal.data.entry_keys import is_empty
from anymodal.data.schemas import Reading
from anymodal.data.source import Source
from anymodal.io.message_parts import PartReader
from anymodal.media import Limits, Media

SampleT_co = TypeVar("SampleT_co", covariant=True)
_LABEL = "label"
_MOST_NAMED = 5
_LOG = logging.getLogger("anymodal")


class RowSamples(Source[SampleT_co]):
    """Samples of a data set in files, one a row.

    Files of media are looked for when a sample is read, and decoded when their content is first
    looked at (`Media.defer`).

    Args:
        path: a file (JSON, JSON Lines, CSV, TSV, Parquet, Arrow, a tar shard), several, a folder,
            or a data set of the hub, see `containers.open_rows`.
        folder: where the media lie, and which they may not leave; that of each file by default.
        make: captions are asked for as media, not read off them.
        ask: what is said with the medium, or before the caption where `make`; `{labels}` in it
            stands for the names of all classes.
        load_targets: open media to be made too, for a denoising loss.
        limits: what is too much of a file, by the names of `Limits`.
        columns: the data's column by the key that is read, as `{caption: text}`.
        ignore: columns that are left out.
        texts: columns of CSV whose cells are texts, also where they look like lists or objects.
        labels: names of classes, in order or by what stands in the rows; by default those that the
            container tells.
        split: the one to read, where names of files or folders tell several.
        remote: whether `path` may be a URL, which fsspec reads.
        index_dir: a folder for indices, instead of `.anymodal/` beside the data.

    Raises:
        FileNotFoundError: if the file isn't there.
        ValueError: if it is none of them, or holds nothing.
    """

    reads_files = True
    """Workers are worth their while: samples are decoded from files."""

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        folder: str | Path | None = None,
        *,
        make: bool = False,
        ask: str | None = None,
        load_targets: bool = False,
        limits: Limits | Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        ignore: Sequence[str] = (),
        texts: Sequence[str] = (),
        labels: Sequence[str] | Mapping[str, str] | None = None,
        split: str | None = None,
        remote: bool = False,
        index_dir: str | Path | None = None,
    ) -> None:
        self.rows = open_rows(path, folder, split=split, remote=remote, index_dir=index_dir)
        if texts:
            self.rows.keep_texts(texts)
        self.folder = self.rows.folder
        self._columns = ColumnMapping(columns or {}, ignore)
        column = self._columns.names.get(_LABEL, _LABEL)
        label_names = labels if labels is not None else self.rows.labels.get(column, ())
        reader = PartReader(Limits.of(limits), folder=self.folder, deferred=True)
        self.reader = EntryReader(reader, Reading(make, ask, label_names), load_targets)

    def __len__(self) -> int:
        return len(self.rows)

    def entry(self, index: int) -> Row:
        """A row under the keys that are read.

        Raises:
            ValueError: if it can't be read, or a column of `columns` isn't there, with its place.
        """
        row = self.rows[index]  # whose own errors have its place
        try:
            return self._columns.entry(row, self.rows)
        except ValueError as error:
            place = self.rows.place(range(len(self))[index])
            raise ValueError(f"{place}: {error}") from error

    def __getitem__(self, index: int, /) -> SampleT_co:
        row = self.rows[index]  # whose own errors have its place
        try:
            home = self.rows.home(range(len(self))[index])
            sample = self.sample(self._columns.entry(row, self.rows), self.reader.at(home))
        except ValueError as error:
            place = self.rows.place(range(len(self))[index])
            raise ValueError(f"{place}: {error}") from error
        except OSError as error:
            if error.strerror is None:
                raise
            place = self.rows.place(range(len(self))[index])
            # Python makes it the subclass of its number, such as FileNotFoundError.
            raise OSError(error.errno, f"{place}: {error.strerror}", error.filename) from error
        if files := [each.file for each in media_in(sample) if each.file is not None]:
            place = self.rows.place(range(len(self))[index])
            for file in files:
                file.place = place
        return sample

    @abstractmethod
    def sample(self, entry: Row, reader: EntryReader) -> SampleT_co:
        """The sample of a row.

        Args:
            entry: the row under the keys that are read.
            reader: of what it says, with media from the folder where its names start.

        Raises:
            ValueError: if it is of no known schema, or isn't what it should be.
            OSError: if a file isn't there.
        """

    def stamp(self, index: int) -> Hashable:
        return self.rows.stamp(index)

    def column(self, name: str) -> list[object]:
        """The values of a column, row by row; None for rows that can't be read.

        It is the container's column of this name, or the one that `columns` reads under it, and may
        be among `ignore`.

        Raises:
            ValueError: if a row has nothing in it, with its place.
        """
        other = self._columns.names.get(name, name)
        values = list[object]()
        errors = list[str]()
        for index in range(len(self)):
            try:
                row = self.rows[index]
            except ValueError as error:
                values.append(None)
                errors.append(str(error))
                continue
            value = row.get(name, row.get(other))
            if is_empty(value) or value != value:  # NaN
                raise ValueError(
                    f"{self.rows.place(index)} has nothing in column {name!r}{suggest(name, row)}"
                )
            values.append(value)
        if errors:
            text = "%d rows can't be read and have no share: %s"
            _LOG.warning(text, len(errors), "; ".join(errors[:_MOST_NAMED]))
        return values

    @property
    def length(self) -> Callable[[int], int]:
        """The bytes of a row, which are near enough to a conversation's length to sort by.

        Raises:
            AttributeError: if the container doesn't tell them, so that `hasattr` says so.
        """
        if not self.rows.size(0):
            raise AttributeError(f"{self.rows.container} doesn't tell how long its rows are")
        return self.rows.size


def media_in(sample: object) -> Iterator[Media]:
    """All media of a sample: in messages, targets, and whatever holds them."""
    if isinstance(sample, Media):
        yield sample
    elif isinstance(sample, list | tuple):
        for each in sample:
            yield from media_in(each)
    elif isinstance(sample, Mapping):
        yield from media_in([*sample.values()])
    elif is_dataclass(sample):
        yield from media_in([getattr(sample, field.name) for field in fields(sample)])
