"""A folder of somebody else's, looked over before a library reads any of its files."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from anymodal.config.printable import printable

MAX_FILES = 20_000
MAX_LEVELS = 3
"""Folders below one another in which libraries look for a part's files."""
MAX_PARSED = 16 << 20
MAX_HEADER = 32 << 20
"""Bytes of a safetensors file's header, which a model of 100,000 tensors stays below."""

_MIB = 1 << 20
_SIZES = {
    **dict.fromkeys((".yaml", ".yml", ".jinja", ".md", ".toml", ".cfg", ".ini"), _MIB),
    **dict.fromkeys((".json", ".jsonl", ".txt", ".model", ".tiktoken"), 256 * _MIB),
}
"""The most bytes of a text file, by how its name ends; vocabularies are the large ones."""
_SMALL = re.compile(
    r"(config|model_index|manifest|generation_config|(pre)?processor_config|video_preprocessor_"
    r"config|image_processor|special_tokens_map|added_tokens|chat_template|scheduler_config)\.json"
)
_INDEX = re.compile(r".*\.index(\.[\w-]+)?\.json")

_COUNTS = re.compile(r"layers|blocks|depth|heads|experts|stages|towers|groups")
_MAX_COUNT, _MAX_WIDTH = 4096, 100_000_000


def check_folder(folder: Path) -> None:
    """Refuse a folder of which a file would keep its reader busy, or isn't what it seems.

    Files are regular ones (a link leads to one) of bounded size; what configures a network is JSON
    of bounded numbers, and an index names files of its own folder.

    Raises:
        ValueError: naming the file, what is wrong with it, and the limit.
        OSError: if there is no such folder.
    """
    for path in _files(folder):
        _check_kind(path)
        size = path.stat().st_size
        name = path.name.lower()
        limit = MAX_PARSED if _SMALL.fullmatch(name) else _SIZES.get(path.suffix.lower())
        if limit is not None and size > limit:
            raise ValueError(
                f"{_label(path)} has {size:,} bytes, and no such file needs more than {limit:,}; "
                "fetch it anew, or don't trust this folder"
            )
        if path.suffix == ".safetensors":
            _check_header(path, size)
        elif name != "manifest.json" and (_SMALL.fullmatch(name) or _INDEX.fullmatch(name)):
            _check_json(path)


def read_text_file(path: Path, limit: int) -> str:
    """The text of a file, up to a limit of bytes.

    Raises:
        OSError: if it can't be read.
        ValueError: if it is no regular file, larger, or not in UTF-8.
    """
    _check_kind(path)
    with open(path, "rb") as file:
        data = file.read(limit + 1)  # not by the file's size, which may grow meanwhile
    if len(data) > limit:
        raise ValueError(f"{_label(path)} is larger than {limit:,} bytes; it is no such file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{_label(path)} is not in UTF-8") from error


def _files(folder: Path) -> Iterator[Path]:
    """Everything in a folder and those below that is no folder; links to folders aren't entered."""
    count = 0
    for top, folders, names in os.walk(folder):
        deep = len(Path(top).relative_to(folder).parts) >= MAX_LEVELS
        folders[:] = [] if deep else [name for name in folders if name != ".git"]
        count += len(names) + len(folders)
        if count > MAX_FILES:
            raise ValueError(f"{_label(folder)} holds more than {MAX_FILES:,} files")
        paths = [Path(top, name) for name in sorted(names)]
        yield from (path for path in paths if path.exists())  # or a link to nothing


def _check_kind(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except RuntimeError as error:
        raise ValueError(f"{_label(path)} is a link to itself; copy the file there") from error
    # A pipe would block its reader for ever, and a device never ends.
    real = Path(os.path.realpath(path))
    if not stat.S_ISREG(mode) or real.parts[:2] in (("/", "proc"), ("/", "sys"), ("/", "dev")):
        raise ValueError(
            f"{_label(path)} is no regular file (but a folder, a pipe, a device, or the system's); "
            "no checkpoint has one, so don't trust this folder"
        )


def _check_header(path: Path, size: int) -> None:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        return  # cut short, or git-lfs's pointer: told by who reads it
    if length > MAX_HEADER:
        raise ValueError(
            f"{_label(path)} has a header of {length:,} bytes, and no model needs more than "
            f"{MAX_HEADER:,}"
        )


def _check_json(path: Path) -> None:
    try:
        content = json.loads(read_text_file(path, 256 * _MIB))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValueError) and _label(path) in str(error):
            raise
        raise ValueError(f"{_label(path)} is not valid JSON, or nests too deep") from error
    if _INDEX.fullmatch(path.name.lower()):
        _check_index(path, content)
    else:
        _check_numbers(path, content)


def _check_index(path: Path, content: object) -> None:
    files = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(files, Mapping):
        raise ValueError(f"{_label(path)} has no 'weight_map' of files by weight")
    for file in set(map(str, files.values())):
        # On Windows, backslashes part folders, and a colon ends a drive's name.
        pure = PurePosixPath(file.replace("\\", "/"))
        if pure.is_absolute() or ".." in pure.parts or ":" in file or not pure.name:
            raise ValueError(
                f"{_label(path)} says that weights are in {printable(file)!r}, which is outside of "
                "its folder; don't trust this folder"
            )


def _check_numbers(path: Path, content: object, key: str = "") -> None:
    if isinstance(content, Mapping):
        for name, value in content.items():
            # Tokens and labels by number stand under names that say nothing of a size.
            _check_numbers(path, value, str(name))
    elif isinstance(content, list):
        for value in content:
            _check_numbers(path, value, key)
    elif isinstance(content, int) and not isinstance(content, bool):
        limit = _MAX_COUNT if _COUNTS.search(key.lower()) else _MAX_WIDTH
        is_size = re.search(r"size|width|dim|channels|hidden|length|vocab|positions|frames", key)
        if (limit == _MAX_COUNT or is_size) and abs(content) > limit and not _endless(key, content):
            raise ValueError(
                f"{_label(path)} has {printable(key)}={_digits(content)}, and {limit:,} is the "
                "most that a model here may have"
            )


def _endless(key: str, value: int) -> bool:
    """Return whether a number stands for no limit, as tokenizers write it."""
    return "length" in key and value >= 10**20


def _digits(value: int) -> str:
    return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"


def _label(path: Path) -> str:
    return printable(str(path), None)
