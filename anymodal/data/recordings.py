"""Long recordings with labels, as windows: what somebody does, what is heard, and when."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anymodal.config import suggest
from anymodal.data.columns import ColumnMapping
from anymodal.data.containers import Row, open_rows
from anymodal.data.containers.base import BrokenFile, warn_of_broken
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
from anymodal.data.schemas import LABEL, Reading
from anymodal.data.schemas.labels import class_name
from anymodal.data.source import Source
from anymodal.data.windows import (
    INTERVALS,
    OWN,
    Interval,
    in_order,
    interval_of,
    interval_rows,
    windows_by_majority,
    windows_throughout,
)
from anymodal.media import Limits
from anymodal.media.references import resolve
from anymodal.types import Message

LABELS = ("throughout", "majority")


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
        folder: where the recordings lie, and which they may not leave; that of each file of rows by
            default.
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
        split: the one to read, where names of files or folders tell several.
        index_dir: a folder for indices and decoded copies, instead of `.anymodal/` beside the data.

    Attributes:
        broken: rows and recordings that stand aside, with the reasons.

    Raises:
        FileNotFoundError: if a recording with a label column isn't there.
        ValueError: if no row is what it should be, with its place, or there is no window.
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
        self._skip, self._index_dir = {str(label) for label in skip}, index_dir
        self._hints, self._limits = hints or {}, Limits.of(limits)
        self._media_columns: dict[frozenset[str], tuple[str, str]] = {}
        self._by_name: dict[tuple[str, str], Recording] = {}
        self._open()

    def _open(self) -> None:
        """Find the windows of all recordings; rows and recordings that are wrong stand aside."""
        files: dict[Path, _LabelledFile] = {}
        broken: list[BrokenFile] = [*self.rows.broken]
        for index in range(len(self.rows)):
            try:
                row = self._columns.entry(self.rows[index], self.rows)
                file = self._labelled(row, self.rows.home(index))
            except ValueError as error:
                place = self.rows.place(index)
                broken.append(BrokenFile(place, str(error).removeprefix(f"{place}: ")))
                continue
            before = files.setdefault(file.recording.path, _LabelledFile(file.recording, []))
            before.intervals.extend(file.intervals)
        names: dict[str, int] = {}  # in the order in which they come
        owners, starts, labels = list[int](), list[float](), list[int]()
        self.recordings: list[Recording] = []
        for file in files.values():
            try:
                windows = self._windows(in_order(file.intervals))
            except ValueError as error:
                broken.append(BrokenFile(file.recording.path.name, str(error)))
                continue
            for start, name in windows:
                owners.append(len(self.recordings))
                starts.append(start)
                labels.append(names.setdefault(name, len(names)))
            self.recordings.append(file.recording)
        self.broken = tuple(broken)
        if broken and not self.recordings:
            raise ValueError(f"{broken[0].name}: {broken[0].reason}")
        warn_of_broken(broken, len(broken) + len(self.recordings), "rows and recordings")
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

    def _labelled(self, entry: Row, home: Path) -> _LabelledFile:
        """A row's recording, and the intervals that the row or the recording tells."""
        recording = self._recording(entry, home)
        if self._label_column is None:
            return _LabelledFile(recording, [self._interval(row) for row in interval_rows(entry)])
        if any(not is_empty(entry.get(key)) for key in (INTERVALS, *OWN)):
            raise ValueError("labels stand in the row and in label_column; choose one")
        return _LabelledFile(recording, self._of_column(recording, self._label_column))

    def _recording(self, entry: Row, home: Path) -> Recording:
        """The recording that a row names; rows of the same columns name it in the same one."""
        columns = frozenset(key for key, value in entry.items() if not is_empty(value))
        if columns not in self._media_columns:
            check_keys(entry, [*caption_keys(), INTERVALS, *OWN], "a recording", IGNORE)
            media = {key: value for key, value in entry.items() if key not in OWN}
            kind, file = only_medium(supplies(media, {}))
            column = next(key for key in columns if as_list(entry[key]) == [file])
            self._media_columns[columns] = kind, column
        kind, column = self._media_columns[columns]
        names = as_list(entry[column])
        if len(names) != 1 or not isinstance(names[0], str):
            raise ValueError(f"a recording is {entry[column]!r}; name its file")
        file = names[0]
        name = kind, str(home / file)
        if name not in self._by_name:
            path = resolve(file, self._limits, folder=home)
            if not isinstance(path, Path):
                raise ValueError("a recording is a data URL; name its file")
            recording = Recording(path, kind, self._limits, self._hints, self._index_dir)
            self._by_name[name] = recording
        return self._by_name[name]

    def _interval(self, row: Mapping[str, Any]) -> Interval:
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
        question = self._reading.question(LABEL.ask, is_label=True)
        return [Message("user", [window, question]), Message("assistant", self.label(index))]

    def stamp(self, index: int) -> Hashable:
        index = range(len(self))[index]
        file = DataFile.of(self.recordings[self._owners[index]].path)
        return *file.stamp, float(self._starts[index]), self.seconds
