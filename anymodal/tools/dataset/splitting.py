"""Data sets split into parts, so that what belongs together stays on one side."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from anymodal.config import suggest
from anymodal.data.containers import Row
from anymodal.data.row_samples import RowSamples
from anymodal.tools.dataset.media_values import map_media
from anymodal.tools.dataset.statistics import Sample


@dataclass(frozen=True)
class SplitRule:
    """Settings by which rows are dealt to parts.

    Args:
        shares: of each part, by name; they sum to 1.
        by: the column whose value decides, so that rows of one value stay together; None for the
            media that a row names, and for the whole row where it names none.
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

    def part(self, entry: Row) -> str:
        """The part of a row.

        Raises:
            ValueError: if it has nothing in the column that decides.
        """
        group = group_of(entry, self.by)
        if group in self.put:
            return self.put[group]
        digest = hashlib.sha256(json.dumps([self.seed, group]).encode()).digest()
        place, at = int.from_bytes(digest[:8], "big") / 2**64, 0.0
        for part, share in self.shares.items():
            at += share
            if place < at:
                return part
        return [part for part, share in self.shares.items() if share][-1]  # rounding


def group_of(entry: Row, by: str | None) -> str:
    """The value that a row shares with those that it must stay together with."""
    if by is not None:
        value = entry.get(by)
        if value is None or value == "":
            raise ValueError(f"there is nothing in {by!r}, which decides the part")
        return str(value)
    media: list[str] = []

    def note(value: object, _: str) -> object:
        content = value.get("bytes") or value.get("path") if isinstance(value, Mapping) else value
        media.append(hashlib.sha256(repr(content).encode()).hexdigest())
        return value

    map_media(entry, note)
    return "".join(sorted(set(media))) if media else json.dumps(entry, sort_keys=True, default=repr)


def split_rows(source: RowSamples[Sample], rule: SplitRule) -> dict[str, Sequence[int]]:
    """The rows of each part, in order.

    Raises:
        ValueError: if a row can't be read or dealt, with its place, a value of `put` isn't there,
            or a part has no rows.
    """
    parts: dict[str, list[int]] = {name: [] for name in rule.shares}
    groups: set[str] = set()
    for index in range(len(source)):
        entry = source.entry(index)
        try:
            if rule.by is not None:
                groups.add(group_of(entry, rule.by))
            parts[rule.part(entry)].append(index)
        except ValueError as error:
            raise ValueError(f"{source.rows.place(index)}: {error}") from error
    if missing := sorted(set(rule.put) - groups):
        raise ValueError(f"no row has {missing[0]!r} in {rule.by!r}{suggest(missing[0], groups)}")
    if empty := [name for name, rows in parts.items() if not rows]:
        raise ValueError(
            f"part {empty[0]!r} has no rows: there are {len(source):,} rows"
            + (f" of {len(groups)} groups" if rule.by else "")
            + "; give it a larger share, or put groups into it"
        )
    return dict(parts)
