"""Decoded copies of long recordings, of which a part is read without the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from anymodal.data.containers.files import DataFile
from anymodal.data.containers.side_files import side_file
from anymodal.io.part_versions import PART_VERSIONS
from anymodal.media import Limits, Media

MAX_GROWTH = 16
"""Times its file that a decoded copy may take: that of sound or of a table may, a clip's can't."""
_VALUES = "values"
_SUFFIX = ".safetensors"


class Recording:
    """A media file with a duration, of which parts are read.

    Args:
        path: of the file.
        kind: of medium.
        limits: what is too much of it.
        hints: what the file leaves open, see the kind's class.
        index_dir: a folder for the decoded copy, instead of `.anymodal/` beside the file.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        limits: Limits,
        hints: Mapping[str, object],
        index_dir: str | Path | None = None,
    ) -> None:
        self.path, self.kind, self.limits, self.hints = path, kind, limits, dict(hints)
        self._index_dir = index_dir

    def load(self) -> Media:
        """All of it; see `Media.load` for what is raised."""
        return Media.kinds[self.kind].load(self.path, limits=self.limits, **self.hints)

    def grid(self) -> tuple[int, float]:
        """The number of samples or frames, and how many there are in a second."""
        medium = self.load()
        values, rate = (getattr(medium, each.name) for each in fields(medium)[:2])  # type: ignore[arg-type]
        return int(values.shape[medium.time_axis or 0]), float(rate)

    def cut(self, start: float, seconds: float) -> Media:
        """A part of it, see `Media.cut`."""
        copy = self._copy()
        if copy is None:
            return self.load().cut(start, seconds)
        from safetensors import safe_open

        cls = Media.kinds[self.kind]
        with safe_open(copy, framework="np") as file:
            numbers: dict[str, Any] = json.loads(file.metadata()["numbers"])
            values = file.get_slice(_VALUES)
            rate = next(iter(numbers.values()))
            axis = cls.time_axis or 0
            total = values.get_shape()[axis]
            # A sample more on either side, so that rounding is the medium's own to do.
            first = min(max(0, round(start * rate) - 1), total)
            last = min(max(first, round((start + seconds) * rate) + 2), total)
            place = (*[slice(None)] * axis, slice(first, last))
            part = values[place]
        if last <= first or start < 0 or (start + seconds) * rate > total + 1:
            return self.load().cut(start, seconds)  # which says what is wrong
        name = fields(cls)[0].name  # type: ignore[arg-type]
        return cls(**{name: part, **numbers}).cut(start - first / rate, seconds)

    def _copy(self) -> Path | None:
        """The decoded copy, or None where it would take too much of the disk."""
        file = DataFile.of(self.path)
        reading = [self.kind, repr(self.limits), sorted(self.hints.items())]
        version = PART_VERSIONS["anymodal.media"].version
        stamp = file.path, file.size, json.dumps([file.version, version, *reading])

        def write(path: Path) -> None:
            from safetensors.numpy import save_file

            medium = self.load()
            values, *rest = ((each.name, getattr(medium, each.name)) for each in fields(medium))  # type: ignore[arg-type]
            if values[1].nbytes > MAX_GROWTH * file.size:
                path.write_bytes(b"")  # noted, so that it is not tried again
                return
            save_file({_VALUES: values[1]}, path, {"numbers": json.dumps(dict(rest))})

        path = side_file(stamp, _SUFFIX, write, self._index_dir)
        return path if path.stat().st_size else None
