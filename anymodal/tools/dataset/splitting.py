"""Data sets split into parts, so that what belongs together stays on one side."""

from __future__ import annotations

import hashlib
import json
import math
import os
import posixpath
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anymodal.config import suggest
from anymodal.data.containers import Row
from anymodal.data.row_samples import RowSamples
from anymodal.data.schemas.base import without_point
from anymodal.tools.dataset.conversion import prefix_of
from anymodal.tools.dataset.media_values import map_media
from anymodal.tools.dataset.statistics import Sample

_KEY_BYTES = 16
"""Of the digest that stands for a medium, or for a row without any."""


@dataclass(frozen=True)
class SplitRule:
    """Settings by which rows are dealt to parts.

    Args:
        shares: of each part, by name; they sum to 1.
        by: the column whose value decides, so that rows of one value stay together; None for the
            media that a row names, so that rows that share one do, and for the whole row where it
            names none.
        put: parts of values of that column, by value; the others are dealt by the shares.
        seed: of the dealing.

    Raises:
        ValueError: if the shares don't sum to 1, or a part of `put` has none.
    """

    shares: Mapping[str, float]
    by: str | None = None
    put: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in self.shares.values()) or not math.isclose(
            sum(self.shares.values()), 1.0, abs_tol=1e-6
        ):
            raise ValueError(f"shares {dict(self.shares)} must lie in [0, 1] and sum to 1")
        if self.put and self.by is None:
            raise ValueError("values are put into parts by the column that --by names")
        for part in self.put.values():
            if part not in self.shares:
                raise ValueError(f"there is no part {part!r}{suggest(part, self.shares)}")

    def part(self, group: str) -> str:
        """The part of a group of rows."""
        if group in self.put:
            return self.put[group]
        digest = hashlib.sha256(json.dumps([self.seed, group]).encode()).digest()
        place, at = int.from_bytes(digest[:8], "big") / 2**64, 0.0
        for part, share in self.shares.items():
            at += share
            if place < at:
                return part
        return [part for part, share in self.shares.items() if share][-1]  # rounding


def keys_of(entry: Row, by: str | None, home: str = "", root: str | Path = ".") -> list[str]:
    """The values of a row that it shares with those that it must stay together with.

    Of media, and of a row without any, they are digests, so that a long one takes no memory.

    Args:
        entry: the row.
        by: the column that has it; None for its media.
        home: the folder where names of media start, within `root`.
        root: the data set's folder, from which absolute names are told.

    Raises:
        ValueError: if there is no such column, or nothing in it.
    """
    if by is not None:
        value = entry.get(by)
        if by not in entry:
            names = ", ".join(map(repr, entry)) or "none"
            raise ValueError(
                f"there is no column {by!r}, which decides the part; there are {names}"
            )
        value = without_point(value)
        if value is None or value == "" or value != value:  # NaN
            raise ValueError(
                f"there is nothing in column {by!r}, which decides the part; give the row a value, "
                "or leave it out"
            )
        return [str(value)]
    media: list[str] = []

    def note(value: object, _: str) -> object:
        content = value.get("bytes") or value.get("path") if isinstance(value, Mapping) else value
        if isinstance(content, str) and not content.startswith("data:"):
            is_absolute = posixpath.isabs(content)
            name = os.path.relpath(content, root) if is_absolute else f"{home}{content}"
            content = posixpath.normpath(name)
        media.append(_digest(repr(content)))
        return value

    map_media(entry, note)
    return media or [_digest(json.dumps(entry, sort_keys=True, default=repr))]


def _digest(text: str) -> str:
    return hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES
    ).hexdigest()


class Groups:
    """Rows that share a value, directly or through others."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}  # of values that were joined alone

    def add(self, keys: Sequence[str]) -> None:
        """Join the groups of some values."""
        first = self.name(keys[0])
        for key in keys[1:]:
            other = self.name(key)
            # The smaller name is the group's, whatever the order of the rows.
            first, larger = min(first, other), max(first, other)
            self._parents[larger] = first

    def name(self, key: str) -> str:
        """The name of a value's group: the smallest value in it."""
        path = []
        while (parent := self._parents.get(key, key)) != key:
            path.append(key)
            key = parent
        for each in path:
            self._parents[each] = key
        return key


def split_rows(source: RowSamples[Sample], rule: SplitRule) -> dict[str, Sequence[int]]:
    """The rows of each part, in order.

    Raises:
        ValueError: if a row can't be read or dealt, with its place, a value of `put` isn't there,
            or a part has no rows.
    """
    parts = {name: array("q") for name in rule.shares}
    unseen = {*rule.put}
    for index, group in enumerate(_groups_of_rows(source, rule.by)):
        unseen.discard(group)
        parts[rule.part(group)].append(index)
    empty = next((name for name, rows in parts.items() if not rows), None)
    if not unseen and empty is None:
        return dict(parts)
    groups = {*_groups_of_rows(source, rule.by)}  # once more, since all of them may be many
    if unseen:
        missing = min(unseen)
        raise ValueError(f"no row has {missing!r} in {rule.by!r}{suggest(missing, groups)}")
    raise ValueError(
        f"part {empty!r} has no rows: there are {len(source):,} rows"
        + (f" of {len(groups)} groups" if len(groups) < len(source) else "")
        + "; give it a larger share, or put groups into it"
    )


def _groups_of_rows(source: RowSamples[Sample], by: str | None) -> Iterator[str]:
    """The group of each row, in order."""
    if by is not None:
        yield from (value for (value,) in _keys_of_rows(source, by))
        return
    joined, keys = Groups(), bytearray()
    for own in _keys_of_rows(source, by):
        joined.add(own)
        keys += bytes.fromhex(own[0])
    for start in range(0, len(keys), _KEY_BYTES):
        yield joined.name(keys[start : start + _KEY_BYTES].hex())


def _keys_of_rows(source: RowSamples[Sample], by: str | None) -> Iterator[list[str]]:
    for index in range(len(source)):
        entry = source.entry(index)
        try:
            home = prefix_of(source.rows.home(index), source.folder) or ""
            yield keys_of(entry, by, home, source.folder)
        except ValueError as error:
            raise ValueError(f"{source.rows.place(index)}: {error}") from error
