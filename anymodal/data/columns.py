"""Columns of a container by the names that are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from anymodal.config import suggest
from anymodal.data.containers import Row, RowSource
from anymodal.data.containers.folders import FILE_NAME, NAMES_FILES
from anymodal.data.entry_keys import TURNS, is_empty
from anymodal.media import Media
from anymodal.media.base import kind_of_suffix

_CAPTIONS = ("text",)
"""Columns that hold a caption where a row has one medium and no conversation."""


@dataclass(frozen=True)
class ColumnMapping:
    """Names of columns.

    Args:
        names: the container's column by the name that is read, as `{caption: text}`.
        ignore: columns that are left out.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    ignore: Sequence[str] = ()

    def __post_init__(self) -> None:
        if both := sorted(set(self.ignore) & set(self.names.values())):
            raise ValueError(f"column {both[0]!r} is both read and ignored; choose one")

    def entry(self, row: Row, rows: RowSource) -> Row:
        """A row under the names that are read, its classes by name.

        Raises:
            ValueError: if a column isn't there, a name stands twice, or a number is no class's.
        """
        entry = {key: value for key, value in row.items() if key not in self.ignore}
        for column, names in rows.labels.items():
            if column in entry:
                entry[column] = _class_name(entry[column], column, names)
        for name, column in self.names.items():
            if column not in entry:
                raise ValueError(f"there is no column {column!r}{suggest(column, entry)}")
            value = entry.pop(column)
            if not is_empty(entry.get(name)):
                raise ValueError(f"columns: {name} is read from {column!r}, and stands there too")
            entry[name] = value
        return _with_caption(_with_files(_with_kinds(entry, rows.media_columns)))


def _class_name(value: object, column: str, names: Sequence[str]) -> object:
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise ValueError(f"{column} is {value!r}; it numbers {len(names)} classes from 0 on")
    return names[value]


def _with_kinds(entry: Row, kinds: Mapping[str, str]) -> Row:
    """Columns of media under the name of their kind, where it is free."""
    for column, kind in kinds.items():
        own = kind in Media.kinds and column in entry and kind not in column
        if own and is_empty(entry.get(kind)):
            entry[kind] = entry.pop(column)
    return entry


def _with_files(entry: Row) -> Row:
    """Files that a folder's table names, under keys that tell their kinds."""
    for column in [key for key in entry if NAMES_FILES.fullmatch(key)]:
        value = entry[column]
        names = value if isinstance(value, list) else [value]
        if is_empty(value) or not all(isinstance(name, str) for name in names):
            continue
        kinds = {kind_of_suffix(PurePath(name).suffix) for name in names}
        kind = next(iter(kinds))
        if kind is None or len(kinds) > 1:
            raise ValueError(
                f"{column} {names[0]!r} doesn't tell the kind of its media; name the column by it, "
                f"as columns: {{KIND: {column}}}"
            )
        key = _key_of_files(column, kind)
        if not is_empty(entry.get(key)):
            raise ValueError(f"there are two of a kind, under {column!r} and {key!r}")
        del entry[column]
        entry[key] = value
    return entry


def _key_of_files(column: str, kind: str) -> str:
    """The key of a kind's files: M for `file_name`, `X_M` for `X_file_name`, `Ms` for several."""
    name = column.removesuffix("s").removesuffix(FILE_NAME).removesuffix("_")
    if column.endswith("s"):
        return f"{name.removesuffix('s')}s" if kind in name else f"{kind}s"
    return name if kind in name else f"{name}_{kind}" if name else kind


def file_column(key: str, value: object) -> str:
    """The column of a folder's table for the files under a key `M` or `Ms`; else the key itself."""
    names = value if isinstance(value, list) else [value]
    kinds = {kind_of_suffix(PurePath(str(name)).suffix) for name in names}
    for kind in Media.kinds:
        if kinds == {kind} and key == (f"{kind}s" if isinstance(value, list) else kind):
            return f"{key}_{FILE_NAME}s" if isinstance(value, list) else FILE_NAME
    return key


def _with_caption(entry: Row) -> Row:
    """A text beside media, where nothing else is said, as their caption."""
    has_media = any(kind in key for key in entry for kind in Media.kinds)
    if has_media and "caption" not in entry and not any(key in entry for key in TURNS):
        for name in _CAPTIONS:
            if isinstance(entry.get(name), str):
                return {**{k: v for k, v in entry.items() if k != name}, "caption": entry[name]}
    return entry
