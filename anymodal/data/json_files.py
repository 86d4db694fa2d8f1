"""Lists of entries in JSON and JSON Lines files."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

_LOG = logging.getLogger("anymodal")
_LINES = (".jsonl", ".ndjson")


class Entries(NamedTuple):
    """The entries of a file; `lines` has the number of each one's line where each has its own."""

    values: list[dict[str, Any]]
    lines: list[int]

    def place(self, index: int) -> str:
        """The place of an entry, for errors."""
        return f"line {self.lines[index]}" if self.lines else f"entry {index}"


def read_entries(path: Path) -> Entries:
    """The objects of a JSON file that holds a list of them, or of a file with one on each line.

    Bytes that aren't UTF-8 are read as U+FFFD, with a warning.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no JSON, holds something else, or nothing.
    """
    text = _text(path)
    if path.suffix.lower() in _LINES or _looks_like_lines(text):
        entries = _of_lines(path, text)
    else:
        entries = _of_list(path, text)
    if not entries.values:
        raise ValueError(f"{path} holds no entries; give a list of at least one")
    return entries


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")  # as PowerShell's redirection writes
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _LOG.warning(
            "%s: byte 0x%02x in line %d is not UTF-8; such bytes are read as \ufffd (if there are "
            "many, convert the file to UTF-8)",
            path, data[error.start], line,
        )  # fmt: skip
        return data.decode("utf-8-sig", "replace")


def _looks_like_lines(text: str) -> bool:
    """Return True if the first of several lines is an object, whatever the file's extension."""
    first, _, following = text.strip().partition("\n")
    if not first.startswith("{") or not following.strip():
        return False
    try:
        # A lone "{" is a JSON object over several lines, and fails here.
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _of_lines(path: Path, text: str) -> Entries:
    entries = Entries([], [])
    # Not splitlines(): U+2028 and its like may stand unescaped inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        value = _parse_json(line, f"{path}, line {number}")
        if not isinstance(value, dict):
            raise ValueError(f"{path}, line {number} holds {_short(value)}, not an object")
        entries.values.append(value)
        entries.lines.append(number)
    return entries


def _of_list(path: Path, text: str) -> Entries:
    values = _parse_json(text, str(path)) if text.strip() else []
    if not isinstance(values, list):
        raise ValueError(
            f"{path} must hold a list of entries at the top, or an object on each line; it holds "
            f"{_short(values)}"
        )
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            raise ValueError(f"{path}, entry {index} is {_short(value)}, not an object")
    return Entries(values, [])


def _parse_json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{place} is nested too deeply for JSON of entries") from None
    except ValueError as error:
        raise ValueError(f"{place} is no JSON: {error}") from None


def _short(value: object) -> str:
    if isinstance(value, dict):
        return f"an object with {', '.join(list(value)[:5]) or 'nothing in it'}"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
