"""Rows of long recordings with their labels, as they stand: to be looked at and checked."""

from __future__ import annotations

from dataclasses import dataclass

from anymodal.data.containers import Row
from anymodal.data.entries import EntryReader
from anymodal.data.entry_keys import IGNORE, caption_keys, check_keys, only_medium, supplies
from anymodal.data.row_samples import RowSamples
from anymodal.data.windows import INTERVALS, OWN, Interval, interval_of, interval_rows
from anymodal.media import Media


@dataclass(frozen=True)
class LabelledRecording:
    """A recording and what holds when in it.

    Args:
        medium: the recording.
        intervals: in the row's own units of time.
    """

    medium: Media
    intervals: tuple[Interval, ...]


class LabelledRecordings(RowSamples[LabelledRecording]):
    """Recordings of a data set, a row each or a row an interval; `Recordings` cuts them.

    See `RowSamples` for the arguments.
    """

    def sample(self, entry: Row, reader: EntryReader) -> LabelledRecording:
        intervals = tuple(interval_of(row) for row in interval_rows(entry))
        rest = {key: value for key, value in entry.items() if key not in (INTERVALS, *OWN)}
        check_keys(rest, caption_keys(), "a recording", IGNORE)
        kind, file = only_medium(supplies(rest, {}))
        return LabelledRecording(reader.load(file, kind), intervals)
