"""Records in a folder, so that an evaluation that was stopped goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from anymodal.io.checkpoint import replacing
from anymodal.media import Media

Record = TypeVar("Record", bound=Mapping[str, object])
"""The record of one sample, as JSON values."""


class RecordStore(Generic[Record]):
    """Records in a folder, one line of JSON each, whole even if a run was killed.

    Args:
        folder: made if needed.
        head: whose samples they are, and how made; which of them there are may differ.
        key: tells one record from another; of two with the same key the later one counts.

    Raises:
        ValueError: if the folder holds samples with another head.
    """

    def __init__(
        self, folder: Path, head: Mapping[str, object], key: Callable[[Record], Hashable]
    ) -> None:
        self.folder, self.path = folder, folder / "samples.jsonl"
        lines = self.path.read_text("utf-8").split("\n") if self.path.exists() else []
        # The last piece is empty, or what a killed run left of a line.
        items = [json.loads(line) for line in lines[:-1]]
        if items and items[0] != head:
            raise ValueError(
                f"{self.path} holds samples of another model, other settings or another seed "
                f"({items[0]} instead of {head}); choose another folder, or delete that file"
            )
        self.records: dict[Hashable, Record] = {key(record): record for record in items[1:]}
        # Written anew without the torn line, which the next record would be joined to.
        with replacing(self.path) as temporary:
            items = [head, *self.records.values()]
            temporary.write_text("".join(f"{json.dumps(item)}\n" for item in items), "utf-8")

    def save_medium(self, medium: Media, name: str) -> str:
        """Save a medium; its path within the folder comes back."""
        (self.folder / "media").mkdir(exist_ok=True)
        return medium.save(self.folder / "media" / name).relative_to(self.folder).as_posix()

    def add(self, record: Record) -> None:
        """Append a record to the file."""
        # One line at a time: a killed run loses no more than the last.
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
