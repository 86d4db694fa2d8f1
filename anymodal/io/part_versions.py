"""Versions of AnyModal's own parts, as the feature cache's keys have them.

A part's version stands for its code: results kept under one version are found as long as it stays.
The hash beside it is of the part's source without comments, docstrings, annotations and layout
(`tests/support/part_sources.py`), so that a test notices a change whose version wasn't raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class PartVersion(NamedTuple):
    """The version of one folder's code.

    Attributes:
        version: raised whenever a result changes, be it in its last bit.
        source: a hash of the folder's source at this version.
        uses: the parts whose code this one calls.
    """

    version: int
    source: str
    uses: tuple[str, ...] = ()


# A folder counts for its own files; folders in it have entries of their own.
PART_VERSIONS: dict[str, PartVersion] = {
    "anymodal.types": PartVersion(1, "0d7e6789bb1f62a2", ("anymodal.media",)),
    "anymodal.media": PartVersion(1, "7f29b374a4ddc931"),
    "anymodal.encoders": PartVersion(1, "85c92ccf61437438", ("anymodal.types",)),
    "anymodal.encoders.imagebind": PartVersion(1, "7a337965be187752", ("anymodal.encoders",)),
    "anymodal.encoders.transformers": PartVersion(1, "48b054f82fe3f510", ("anymodal.encoders",)),
    "anymodal.encoders.universal": PartVersion(
        1, "27f3c4b5fc8e77c3", ("anymodal.encoders.imagebind", "anymodal.encoders.transformers")
    ),
    "anymodal.language.families": PartVersion(1, "dcb7a9e663257337", ("anymodal.encoders",)),
    "anymodal.decoders": PartVersion(
        1, "18fad0a1df4a54dd", ("anymodal.decoders.families", "anymodal.types")
    ),
    "anymodal.decoders.retrieval": PartVersion(
        1, "fcc0f4e737562e1c", ("anymodal.decoders", "anymodal.encoders", "anymodal.types")
    ),
    "anymodal.decoders.choosing": PartVersion(
        1, "438d5a06200a8956", ("anymodal.decoders.retrieval", "anymodal.types")
    ),
    "anymodal.decoders.families": PartVersion(1, "c3d62124971d1111", ("anymodal.decoders",)),
    "anymodal.decoders.speech": PartVersion(
        1, "58740507ef5dd3eb", ("anymodal.decoders", "anymodal.media")
    ),
}

WITHOUT_RESULTS = ("anymodal.config", "anymodal.distributed", "anymodal.io")
"""Folders whose code decides no result: they read settings and files, whose content is in a key."""


def part_of(module: str) -> str | None:
    """The part that a Python module belongs to: the innermost folder in the table."""
    while module not in PART_VERSIONS:
        module, dot, _ = module.rpartition(".")
        if not dot:
            return None
    return module


def with_dependencies(part: str) -> Iterator[str]:
    """A part and those that it uses, directly or through others."""
    visited, todo = set[str](), [part]
    while todo:
        name = todo.pop()
        if name not in visited:
            visited.add(name)
            todo += PART_VERSIONS[name].uses
            yield name
