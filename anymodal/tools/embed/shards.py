"""Embeddings on disk: shards while a run goes on, and one file of them all when it is done.

A shard is a safetensors file, whole or absent, so that what was done before a kill stays done.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from anymodal.io.checkpoint import CheckpointError, replacing

_EMBEDS, _ABOUT = "embeddings", "about"


class Entry(NamedTuple):
    """A file that has been embedded: its path, kind of media, size in bytes, and time in ns.

    Size and time of the last change tell whether it is still the file that it was.
    """

    path: str
    kind: str
    size: int
    changed: int


def stamp(path: Path) -> tuple[int, int]:
    """A file's size in bytes, and the time of its last change in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


class Shards:
    """The shards of one run, in a folder of their own.

    Args:
        folder: where they are; made with the first shard.
        encoders: what each kind of media is encoded by; JSON values.

    Raises:
        CheckpointError: if a shard is damaged, or comes from other encoders.
    """

    def __init__(self, folder: Path, encoders: Mapping[str, Any]) -> None:
        self.folder = folder
        self.encoders: dict[str, Any] = json.loads(json.dumps(encoders))
        self.done: dict[str, Entry] = {}
        self.where: dict[str, tuple[Path, int]] = {}
        self.width: int | None = None
        for shard in sorted(folder.glob("*.safetensors")):
            self._read(shard)

    def _read(self, shard: Path) -> None:
        try:
            with safe_open(shard, framework="np") as file:
                about = json.loads(file.metadata()[_ABOUT])
                shape = file.get_slice(_EMBEDS).get_shape()
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{shard} is damaged; delete it and run again") from error
        if about["encoders"] != self.encoders:
            raise CheckpointError(
                f"{self.folder} was begun with other encoders or settings; delete it to begin anew,"
                " or write to another file"
            )
        self._enter(shard, [Entry(*entry) for entry in about["entries"]], shape[1])

    def _enter(self, shard: Path, entries: Sequence[Entry], width: int) -> None:
        self.width = width
        for row, entry in enumerate(entries):
            self.done[entry.path] = entry
            self.where[entry.path] = (shard, row)

    def has(self, path: Path) -> bool:
        """Whether a file has been embedded, and hasn't changed since."""
        entry = self.done.get(str(path))
        with contextlib.suppress(OSError):  # a link that leads nowhere
            return entry is not None and (entry.size, entry.changed) == stamp(path)
        return False

    def add(self, entries: Sequence[Entry], embeds: NDArray[np.float32]) -> None:
        """Write a shard of embeddings (B, E).

        Raises:
            ValueError: if E isn't that of the shards before.
        """
        width = embeds.shape[1]
        if self.width not in (None, width):
            raise ValueError(
                f"embeddings of {entries[0].kind} are {width} wide and those before {self.width}; "
                "embed each kind (--kind) into a file of its own"
            )
        names = [int(path.stem) for path in self.folder.glob("*.safetensors")]
        shard = self.folder / f"{max(names, default=-1) + 1:08d}.safetensors"
        about = json.dumps({"encoders": self.encoders, "entries": entries})
        with replacing(shard) as temporary:
            save_file({_EMBEDS: np.ascontiguousarray(embeds)}, temporary, {_ABOUT: about})
        self._enter(shard, entries, width)

    def join(self, paths: Sequence[str], target: Path) -> NDArray[np.float32]:
        """All embeddings of the paths, in their order, as an NPY file that is mapped into memory.

        Raises:
            ValueError: if there are none.
        """
        if not paths or self.width is None:
            raise ValueError("there is nothing to write: none of the files could be embedded")
        joined = np.lib.format.open_memmap(
            target, mode="w+", dtype=np.float32, shape=(len(paths), self.width)
        )
        places: dict[Path, list[tuple[int, int]]] = {}
        for place, path in enumerate(paths):
            shard, row = self.where[path]
            places.setdefault(shard, []).append((place, row))
        for shard, pairs in places.items():
            with safe_open(shard, framework="np") as file:
                embeds = file.get_tensor(_EMBEDS)
            joined[[place for place, _ in pairs]] = embeds[[row for _, row in pairs]]
        joined.flush()
        return joined

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
