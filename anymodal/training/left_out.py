"""Samples that a run leaves out since they can't be used: told once, and listed in its folder."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

_LOG = logging.getLogger("anymodal")

LEFT_OUT = "left-out.jsonl"
"""The list in a run's folder: a line for each sample, with the reason."""


class LeftOut:
    """The samples that a process has left out.

    Args:
        path: of the list, to which all processes of a run add lines; None for none.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._told: set[tuple[int, int]] = set()
        self._listed: set[int] = set()

    def add(self, sample: int, error: Exception, other: int) -> None:
        """Tell and list a sample, each once.

        Args:
            sample: its number.
            error: why it can't be used.
            other: the number of the one that stands in for it.
        """
        if (sample, other) not in self._told:
            self._told.add((sample, other))
            _LOG.warning("%s; sample %d stands in for it", error, other)
        if self.path is None or sample in self._listed:
            return
        self._listed.add(sample)
        line = json.dumps({"sample": sample, "reason": str(error)}, ensure_ascii=False)
        # In one write to the file's end, so that lines of several workers don't mix. On a full disk
        # the warning is all.
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)  # the first may come before a log
            with self.path.open("ab", buffering=0) as file:
                file.write(f"{line}\n".encode("utf-8", "replace"))


def count_left_out(path: Path) -> int:
    """The number of samples that a list has, each counted once."""
    samples = set()
    with contextlib.suppress(OSError), path.open("rb") as file:
        for line in file:
            with contextlib.suppress(
                ValueError, KeyError, TypeError
            ):  # as a killed process left it
                samples.add(json.loads(line)["sample"])
    return len(samples)
