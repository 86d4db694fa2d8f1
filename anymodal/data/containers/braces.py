"""Several files named at once: `shard-{000..099}.tar`, `{a,b}.jsonl`, `*.parquet`."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from itertools import product

from anymodal.config.printable import printable
from anymodal.data.containers.files import is_url

MAX_FILES = 1_000_000
"""Of one pattern, so that no typing error fills the memory."""
_GROUP = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")


def expand_braces(pattern: str) -> list[str]:
    """The names that a pattern stands for, as a shell and WebDataset read it.

    `{000..099}` counts with as many digits as its ends have, `{9..7}` counts down, `{a,b}` is one
    of several. Groups don't nest. Braces around neither are part of the name.

    Raises:
        ValueError: if there are more than `MAX_FILES`.
    """
    pieces: list[Sequence[str]] = []
    start, count = 0, 1
    for group in _GROUP.finditer(pattern):
        choices = _choices(group[1], pattern)
        count *= len(choices)
        if count > MAX_FILES:
            raise _too_many(pattern)
        pieces += [[pattern[start : group.start()]], choices]
        start = group.end()
    return ["".join(parts) for parts in product(*pieces, [pattern[start:]])]


def _choices(group: str, pattern: str) -> Sequence[str]:
    if match := _RANGE.fullmatch(group):
        first, last = int(match[1]), int(match[2])
        if abs(last - first) >= MAX_FILES:
            raise _too_many(pattern)
        # As in bash: numbers are padded where one of the ends is.
        padded = any(end[0] == "0" and len(end) > 1 for end in match.groups())
        width = max(map(len, match.groups())) if padded else 0
        step = 1 if first <= last else -1
        return [f"{number:0{width}d}" for number in range(first, last + step, step)]
    return group.split(",") if "," in group else [f"{{{group}}}"]


def _too_many(pattern: str) -> ValueError:
    return ValueError(f"{printable(pattern)} names more than {MAX_FILES:,} files; check its ranges")


def files_of(pattern: str) -> list[str]:
    """The files that a pattern names, those of a glob in the order of their names.

    Raises:
        FileNotFoundError: if a glob matches nothing.
        ValueError: if there are more than `MAX_FILES`, or a glob stands in a URL.
    """
    if not is_url(pattern) and os.path.exists(pattern):  # a name may hold any of these signs
        return [pattern]
    return [name for expanded in expand_braces(pattern) for name in _matches(expanded)]


def _matches(name: str) -> Iterator[str]:
    if not glob.has_magic(name):
        yield name
    elif is_url(name):
        raise ValueError(
            f"{printable(name)}: * isn't read in a URL; name the files by a range, {{000..099}}"
        )
    elif names := sorted(glob.glob(name, recursive=True)):
        yield from names
    else:
        raise FileNotFoundError(2, "no file matches", name)
