"""Files that media are decoded from when they are looked at, and a count of how often they are."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from anymodal.media import stamps
from anymodal.media.content import Content
from anymodal.types import Message
from tests.support.tiny import felt, picture, sound


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files for old enough that their stamps are trusted."""
    time.sleep(0.02)  # longer than a tick of the disk's clock
    monkeypatch.setattr(stamps, "MARGIN_NS", 0)


class Decodings:
    """Counts files as they are decoded, in workers too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
        self.log = log
        decode = Content._decode_file

        def noted(medium: Content, file: Any) -> None:
            if not medium.decoded:
                with log.open("ab", buffering=0) as out:
                    out.write(b"x")
            decode(medium, file)

        monkeypatch.setattr(Content, "_decode_file", noted)

    def take_count(self) -> int:
        """The number since the last call."""
        count = self.log.stat().st_size if self.log.exists() else 0
        if count:
            os.truncate(self.log, 0)
        return count


def write_entries(folder: Path, count: int = 4) -> Path:
    """Entries that each name a picture, a sound or a recording of movement, in files."""
    entries = []
    for index in range(count):
        kind, medium = [
            ("image", picture(index)),
            ("audio", sound(index, 0.5)),
            ("imu", felt(index)),
        ][index % 3]
        name = medium.save(folder / f"{index}").name
        entries.append({kind: name, "caption": f"a ball {index}"})
    path = folder / "entries.json"
    path.write_text(json.dumps(entries))
    return path


class InMemory:
    """The samples of a data set, decoded ahead."""

    def __init__(self, path: str, **how: Any) -> None:
        from anymodal.data.conversations import Conversations
        from anymodal.data.row_samples import media_in

        data = Conversations(path, **how)
        self.samples = [data[index] for index in range(len(data))]
        for medium in media_in(self.samples):
            medium.decode()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> list[Message]:
        return self.samples[index]
