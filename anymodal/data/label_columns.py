"""Labels in a column of a recording's own table."""

from __future__ import annotations

import json
from pathlib import Path

from anymodal.config import suggest
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.side_files import side_file
from anymodal.data.containers.tables import CsvRows
from anymodal.data.decoded import Recording
from anymodal.data.windows import Interval, intervals_of
from anymodal.media import Media


def column_intervals(
    recording: Recording, column: str, index_dir: str | Path | None = None
) -> list[Interval]:
    """The intervals in which a column of a recording's table stays the same; kept once found.

    Args:
        recording: whose file is a table.
        column: with a label for each sample; an empty one is none.
        index_dir: a folder for what is kept, instead of `.anymodal/` beside the file.

    Raises:
        ValueError: if there is no such column, or the table's rows aren't the recording's samples.
    """
    file = DataFile.of(recording.path)
    key = json.dumps([file.version, column, sorted(recording.hints.items())])

    def write(path: Path) -> None:
        path.write_text(json.dumps(_find(recording, file, column, index_dir)), "utf-8")

    path = side_file((file.path, file.size, key), ".labels", write, index_dir)
    return [Interval(*values) for values in json.loads(path.read_text("utf-8"))]


def _find(
    recording: Recording, file: DataFile, column: str, index_dir: str | Path | None
) -> list[Interval]:
    kind = Media.kinds[recording.kind]
    labels = kind.read_column(recording.path, column, recording.limits)
    if labels is None:
        labels = _column_of_csv(recording, file, column, index_dir)
    count, rate = recording.grid()
    if len(labels) != count:
        raise ValueError(
            f"{file.name} has {len(labels)} labels for {count} samples on an even grid of times; "
            "give intervals instead"
        )
    return intervals_of(labels, rate)


def _column_of_csv(
    recording: Recording, file: DataFile, column: str, index_dir: str | Path | None
) -> list[str]:
    table = CsvRows.open(file, recording.path.parent, index_dir)
    if column not in table.header:
        raise ValueError(f"{file.name} has no column {column!r}{suggest(column, table.header)}")
    return [str(table[index][column]).strip() for index in range(len(table))]
