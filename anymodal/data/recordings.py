"""Long recordings with labels, as windows: what somebody does, what is heard, and when."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anymodal.config import suggest
from anymodal.data.columns import ColumnMapping
from anymodal.data.containers import Row, open_rows
from anymodal.data.containers.files import DataFile
from anymodal.data.decoded import Recording
from anymodal.data.entry_keys import (
    IGNORE,
    as_list,
    caption_keys,
    check_keys,
    is_empty,
    only_medium,
    supplies,
)
from anymodal.data.label_columns import column_intervals
from anymodal.data.schemas import Reading
from anymodal.data.schemas.labels import class_name
from anymodal.data.source import Source
from anymodal.data.windows import (
    Interval,
    in_order,
    interval_of,
    windows_by_majority,
    windows_throughout,
)
from anymodal.media import Limits
from anymodal.media.references import resolve
from anymodal.types import Message

LABELS = ("throughout", "majority")
_INTERVALS = "intervals"
_OWN = ("start", "end", "seconds", "label")


class _LabelledFile(NamedTuple):
    recording: Recording
    intervals: list[Interval]


class Recordings(Source[list[Message]]):
    """Windows of long recordings, each with a question and its label as the reply.

    A row names a recording under its kind M. Labels stand

    - in `intervals`, a list of `{"start": …, "end": …, "label": …}` (or `seconds` for `end`)
    - in the row itself, `start`, `end` and `label`, for a table with a row an interval
    - in a column of the recording's own table, `label_column`, one a sample

    Args:
        path: rows in any container, see `RowSamples`.
        folder: where the recordings lie, and which they may not leave; that of the rows by default.
        seconds: length of a window.
        hop: from the start of one to that of the next; `seconds` by default, so that none overlap.
        label: `throughout` for windows that have one label all the time, which begin where an
            interval does; `majority` for windows all the time, with the label that holds longest,
            for half of the window at least.
        label_column: the column of labels in the recordings themselves.
        interval_rate: units of `start` and `end` in a second: 1000 for milliseconds, the sample
            rate for samples.
        ask: the question; `{labels}` in it stands for the names of all classes.
        labels: names of classes, in order or by what stands in the rows. What isn't there is
            refused, unless it stands in `skip`.
        skip: labels without windows, as they stand in the rows.
        hints: what the files leave open, such as `{sample_rate: 50, units: "g, deg/s"}`.
        limits: what is too much of a file, by the names of `Limits`; ten minutes by default, so
            `{max_seconds: 7200}` for longer ones.
        columns: the rows' column by the key that is read.
        ignore: columns that are left out.
        split: the one to read, where the data have several.
        index_dir: a folder for indices and decoded copies, instead of `.anymodal/` beside the data.

    Raises:
        FileNotFoundError: if a recording with a label column isn't there.
        ValueError: if a row isn't what it should be, with its place, or there is no window.
    """

    reads_files = True
    """Workers are worth their while: samples are read from files."""

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        folder: str | Path | None = None,
        *,
        seconds: float,
        hop: float | None = None,
        label: str = "throughout",
        label_column: str | None = None,
        interval_rate: float = 1.0,
        ask: str | None = None,
        labels: Sequence[str] | Mapping[str, str] = (),
        skip: Sequence[str] = (),
        hints: Mapping[str, Any] | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        ignore: Sequence[str] = (),
        split: str | None = None,
        index_dir: str | Path | None = None,
    ) -> None:
        hop = seconds if hop is None else hop
        for name, value in (("seconds", seconds), ("hop", hop), ("interval_rate", interval_rate)):
            if not value > 0:
                raise ValueError(f"{name}={value!r} must be more than 0")
        if label not in LABELS:
            raise ValueError(f"label={label!r} is none{suggest(label, LABELS)}")
        self.seconds, self.hop, self.majority = seconds, hop, label == "majority"
        self.rows = open_rows(path, folder, split=split, index_dir=index_dir)
        self._columns = ColumnMapping(columns or {}, ignore)
        self._reading = Reading(False, ask, labels)
        self._label_column, self._rate = label_column, interval_rate
        self._skip, self._index_dir = set(skip), index_dir
        self._hints, self._limits = hints or {}, Limits.of(limits)
        self._media_columns: dict[frozenset[str], tuple[str, str]] = {}
        self._by_name: dict[tuple[str, str], Recording] = {}
        self._open()

    def _open(self) -> None:
        """Find the windows of all recordings."""
        files: dict[Path, _LabelledFile] = {}
        for index in range(len(self.rows)):
            row = self.rows[index]
            try:
                file = self._labelled(self._columns.entry(row, self.rows))
            except ValueError as error:
                raise ValueError(f"{self.rows.place(index)}: {error}") from error
            before = files.setdefault(file.recording.path, _LabelledFile(file.recording, []))
            before.intervals.extend(file.intervals)
        self.recordings = [file.recording for file in files.values()]
        names: dict[str, int] = {}  # in the order in which they come
        owners, starts, labels = list[int](), list[float](), list[int]()
        for owner, file in enumerate(files.values()):
            try:
                windows = self._windows(in_order(file.intervals))
            except ValueError as error:
                raise ValueError(f"{file.recording.path.name}: {error}") from error
            for start, name in windows:
                owners.append(owner)
                starts.append(start)
                labels.append(names.setdefault(name, len(names)))
        if not owners:
            raise ValueError(
                f"no label holds for a window of {self.seconds:g} s; give shorter windows"
            )
        self._owners, self._starts = np.array(owners, np.int32), np.array(starts)
        self._labels, self._names = np.array(labels, np.int32), list(names)
        if not self._reading.class_names:
            self._reading = Reading(False, self._reading.ask, sorted(names))

    def _windows(self, intervals: list[Interval]) -> list[tuple[float, str]]:
        find = windows_by_majority if self.majority else windows_throughout
        windows = find(intervals, self.seconds, self.hop)
        return [(start, name) for start, name in windows if name not in self._skip]

    def _labelled(self, entry: Row) -> _LabelledFile:
        """A row's recording, and the intervals that the row or the recording tells."""
        interval = {key: entry[key] for key in _OWN if not is_empty(entry.get(key))}
        several = entry.get(_INTERVALS)
        recording = self._recording(entry)
        if self._label_column is not None:
            if interval or several:
                raise ValueError("labels stand in the row and in label_column; choose one")
            return _LabelledFile(recording, self._of_column(recording, self._label_column))
        if bool(interval) == bool(several):
            raise ValueError("a recording has intervals, or start, end and label of one")
        rows = several if several else [interval]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"intervals are {rows!r}, not a list of objects")
        return _LabelledFile(recording, [self._interval(row) for row in rows])

    def _recording(self, entry: Row) -> Recording:
        """The recording that a row names; rows of the same columns name it in the same one."""
        columns = frozenset(key for key, value in entry.items() if not is_empty(value))
        if columns not in self._media_columns:
            check_keys(entry, [*caption_keys(), _INTERVALS, *_OWN], "a recording", IGNORE)
            media = {key: value for key, value in entry.items() if key not in _OWN}
            kind, file = only_medium(supplies(media, {}))
            column = next(key for key in columns if as_list(entry[key]) == [file])
            self._media_columns[columns] = kind, column
        kind, column = self._media_columns[columns]
        names = as_list(entry[column])
        if len(names) != 1 or not isinstance(names[0], str):
            raise ValueError(f"a recording is {entry[column]!r}; name its file")
        file = names[0]
        if (kind, file) not in self._by_name:
            path = resolve(file, self._limits, folder=self.rows.folder)
            if not isinstance(path, Path):
                raise ValueError("a recording is a data URL; name its file")
            recording = Recording(path, kind, self._limits, self._hints, self._index_dir)
            self._by_name[kind, file] = recording
        return self._by_name[kind, file]

    def _interval(self, row: Mapping[str, Any]) -> Interval:
        if row.keys() - set(_OWN):
            check_keys(row, _OWN, "an interval")
        interval = interval_of(row, self._rate)
        if interval.label in self._skip:
            return interval
        return interval._replace(label=self._name(row.get("label")))

    def _of_column(self, recording: Recording, column: str) -> list[Interval]:
        rows = column_intervals(recording, column, self._index_dir)
        return [
            each if each.label in self._skip else each._replace(label=self._name(each.label))
            for each in rows
        ]

    def _name(self, label: object) -> str:
        return class_name(label, self._reading)

    def __len__(self) -> int:
        return len(self._owners)

    def label(self, index: int) -> str:
        """The label of a window, without reading it."""
        return self._names[int(self._labels[range(len(self))[index]])]

    def column(self, name: str) -> list[object]:
        """The labels of all windows, for a mixture that balances them.

        Raises:
            ValueError: for a column of another name.
        """
        if name != "label":
            raise ValueError(f"windows of recordings have a column 'label', and no {name!r}")
        return [self._names[number] for number in self._labels.tolist()]

    def __getitem__(self, index: int, /) -> list[Message]:
        index = range(len(self))[index]
        recording = self.recordings[self._owners[index]]
        start = float(self._starts[index])
        try:
            window = recording.cut(start, self.seconds)
        except ValueError as error:
            raise ValueError(f"{recording.path.name}, from {start:g} s: {error}") from error
        question = self._reading.question(is_label=True)
        return [Message("user", [window, question]), Message("assistant", self.label(index))]

    def stamp(self, index: int) -> Hashable:
        index = range(len(self))[index]
        file = DataFile.of(self.recordings[self._owners[index]].path)
        return *file.stamp, float(self._starts[index]), self.seconds
