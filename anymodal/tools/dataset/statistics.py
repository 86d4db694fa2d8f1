"""Statistics of a data set: schemas, columns, texts and media, over some of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anymodal.data.conversations import Conversations
from anymodal.data.labelled import LabelledRecording, LabelledRecordings
from anymodal.data.preferences import Preferences, PreferenceSample, RatedReply
from anymodal.data.row_samples import RowSamples, media_in
from anymodal.data.schemas import is_preference, is_rating, is_recording, name_of_schema
from anymodal.media import Media
from anymodal.types import Message, Target

_MAX_ERRORS = 20
_MOST_INTERVALS = 3
Sample = list[Message] | PreferenceSample | RatedReply | LabelledRecording
"""What a row becomes; of a preference both replies are looked at."""


@dataclass
class DataStatistics:
    """Counts and figures of a data set.

    Attributes:
        container: its kind.
        files: it is read from.
        broken: files that stand aside, each with the reason.
        rows: in all.
        looked_at: rows that the following are of.
        schemas: rows by schema.
        columns: rows that have something in each column.
        errors: of rows that can't be read, the first of them.
        num_errors: rows that can't be read.
        figures: values by name, such as characters of replies or seconds of sounds.
        media: media by kind, shown and to be made.
        labels: rows by label, where they have one.
    """

    container: str
    files: list[str]
    broken: list[tuple[str, str]]
    rows: int
    looked_at: int = 0
    schemas: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    num_errors: int = 0
    figures: dict[str, list[float]] = field(default_factory=dict)
    media: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, value: float) -> None:
        """Add a value to those of a name."""
        self.figures.setdefault(name, []).append(value)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values, figures by their distribution."""
        plain = {name: value for name, value in vars(self).items() if name != "figures"}
        counters = {
            name: dict(value) for name, value in plain.items() if isinstance(value, Counter)
        }
        figures = {name: distribution(values) for name, values in self.figures.items()}
        return {**plain, **counters, "figures": figures}


def distribution(values: Sequence[float]) -> dict[str, float]:
    """The least, middle and most of some values, and their sum."""
    low, tenth, middle, ninth, high = np.quantile(values, [0, 0.1, 0.5, 0.9, 1])
    result = {"min": low, "10 %": tenth, "median": middle, "90 %": ninth, "max": high}
    return {name: float(value) for name, value in {**result, "sum": sum(values)}.items()}


def rows_to_look_at(total: int, most: int | None) -> Iterator[int]:
    """Rows that are spread evenly over all of them; all where `most` is None."""
    count = total if most is None else min(total, most)
    yield from (place * total // count for place in range(count))


def collect_statistics(
    source: RowSamples[Sample],
    most: int | None = 1000,
    count_tokens: Callable[[str], int] | None = None,
) -> DataStatistics:
    """Figures of a data set; rows that can't be read are counted.

    Args:
        source: the data set.
        most: rows that are read, spread evenly; None for all.
        count_tokens: the number of tokens of a text.
    """
    rows = source.rows
    broken = [(each.name, each.reason) for each in rows.broken]
    statistics = DataStatistics(rows.container, rows.files, broken, len(source))
    for index in rows_to_look_at(len(source), most):
        statistics.looked_at += 1
        try:
            _add_row(statistics, source, index, count_tokens)
        except (OSError, ValueError) as error:
            statistics.num_errors += 1
            if len(statistics.errors) < _MAX_ERRORS:
                statistics.errors.append(readable(error))
    return statistics


def sample_messages(sample: Sample) -> list[Message]:
    """The messages of a sample; of a preference the rejected end after the chosen one.

    Of a recording the first intervals, each as a part of it with its label.
    """
    if isinstance(sample, LabelledRecording):
        return [
            message
            for start, end, label in sample.intervals[:_MOST_INTERVALS]
            for message in (
                Message("user", [sample.medium.cut(start, end - start)]),
                Message("assistant", [label]),
            )
        ]
    if isinstance(sample, PreferenceSample):
        return [*sample.chosen, *sample.rejected[sample.common :]]
    return sample.messages if isinstance(sample, RatedReply) else sample


def open_samples(source: Conversations, **settings: Any) -> RowSamples[Sample]:
    """The data set itself, or its preferences or recordings where its first row is one.

    Args:
        source: the data set.
        settings: it was opened with.
    """
    try:
        first = source.entry(0)
    except ValueError:
        return source  # to be told with the row
    if is_recording(first):
        return LabelledRecordings(**settings)
    return Preferences(**settings) if is_preference(first) or is_rating(first) else source


def readable(error: Exception) -> str:
    """An error in one line, with the file that it is of."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split())


def _add_row(
    statistics: DataStatistics,
    source: RowSamples[Sample],
    index: int,
    count_tokens: Callable[[str], int] | None,
) -> None:
    entry = source.entry(index)
    statistics.schemas[name_of_schema(entry) or "none that is known"] += 1
    statistics.columns.update(key for key, value in entry.items() if value not in (None, "", []))
    sample = source[index]
    if isinstance(sample, LabelledRecording):
        statistics.labels.update(interval.label for interval in sample.intervals)
        for start, end, _ in sample.intervals:
            statistics.add("length of an interval", end - start)
        statistics.media.update([f"{sample.medium.kind} shown"])
        return _add_medium(statistics, sample.medium)
    label = entry.get("label")
    if isinstance(label, str | int):
        statistics.labels[str(label)] += 1
    messages = sample_messages(sample)
    statistics.add("messages", len(messages))
    requests, said = (
        [m.text for m in messages if (m.role == "assistant") == s] for s in (False, True)
    )
    for name, texts in (("asked", requests), ("replied", said)):
        text = "".join(texts)
        statistics.add(f"characters {name}", len(text))
        if count_tokens is not None:
            statistics.add(f"tokens {name}", count_tokens(text))
    targets = [part for m in messages for part in m.content if isinstance(part, Target)]
    statistics.media.update(f"{target.modality} to be made" for target in targets)
    media = [medium for message in messages for medium in message.media]
    statistics.media.update(f"{medium.kind} shown" for medium in media)
    for medium in media_in(messages):
        _add_medium(statistics, medium)
    return None


def _add_medium(statistics: DataStatistics, medium: Media) -> None:
    medium.decode()
    seconds = getattr(medium, "duration", None)
    if seconds is not None:
        statistics.add(f"seconds of {medium.kind}", seconds)
    pixels = getattr(medium, "pixels", None)
    if pixels is not None:
        height, width = pixels.shape[:2]
        statistics.add(f"width of {medium.kind}", width)
        statistics.add(f"height of {medium.kind}", height)
