"""Values in memory, and notes of them that forked processes can read."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence

import torch

from anymodal.io.segments import Value, size_of
from anymodal.io.tensor_store import TensorStore

_NOTHING: Value = (torch.empty(0, dtype=torch.uint8),)


class MemoryStore:
    """Values in memory, up to `limit` bytes; what comes later isn't kept.

    Attributes:
        notes: a store of small values in a folder that lasts as long as this one; what is in memory
            is noted there without its content. Workers that were forked before can tell by it what
            this process has now.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self.failure: OSError | None = None
        self.values: dict[tuple[str, str], Value] = {}
        folder = tempfile.mkdtemp(prefix="anymodal-")
        self.notes = TensorStore(folder)
        weakref.finalize(self, _remove, folder, os.getpid())

    def find(self, section: str, keys: Sequence[str]) -> dict[str, Value]:
        """The values there are."""
        return {key: self.values[section, key] for key in keys if (section, key) in self.values}

    def holds(self, section: str, keys: Sequence[str]) -> list[bool]:
        """Return whether there are values, in this process or the one that it was forked from."""
        return self.notes.holds(section, keys)

    def add(self, section: str, values: Mapping[str, Value]) -> None:
        """Keep values, as far as there is room."""
        added: dict[str, Value] = {}
        for key, value in values.items():
            # Nothing is evicted: an epoch goes through all items, so no newer one is wanted sooner.
            if self.size + size_of(value) <= self.limit:
                # A copy: a row is a view that would hold its whole batch in memory.
                self.values[section, key] = tuple(t.to("cpu", copy=True) for t in value)
                self.size += size_of(value)
                added[key] = _NOTHING
        if added:
            self.notes.add(section, added)


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # a worker's copy of the store may end before
        shutil.rmtree(folder, ignore_errors=True)
