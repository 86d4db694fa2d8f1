"""The content of a folder of data, and the split of it that is meant."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from anymodal.data.containers.copies import plain_name

PathT = TypeVar("PathT", bound=Path | str)
SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "eval": "test",
}
"""Words in names of files and folders that tell a split, as the hub reads them."""
_WORD = re.compile(r"[A-Za-z]+")

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet", "metadata.tsv")
"""Tables beside media files, with their names under `file_name`."""
FILE_NAME = "file_name"
"""The column of Hugging Face's folders that names the row's media file; `X_file_name` names the one
of a column X, and `X_file_names` several."""
NAMES_FILES = re.compile(rf"(?:.+_)?{FILE_NAME}s?")  # profile_name is none
TABLES = {
    ".json": "JSON",
    ".jsonl": "JSON Lines",
    ".ndjson": "JSON Lines",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".tab": "CSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".tar": "WebDataset",
}
"""Kinds of containers by the suffixes of their files."""
_SAVED_FILES = ("dataset_info.json", "state.json", "dataset_dict.json", "dataset_infos.json")


class FolderContent(NamedTuple):
    """The files that hold a folder's rows, or the folder itself where media files do.

    Args:
        paths: files, or one folder of media.
        folder: where relative names of media start; None for that of each file.
        split: whose rows are meant, where a table has those of several; None for all.
    """

    paths: list[Path]
    folder: Path | None = None
    split: str | None = None


def suffix_of(name: str) -> str:
    """The suffix that tells a container, without that of a compression."""
    return Path(plain_name(name)).suffix.lower()


def content_of(folder: Path, split: str | None) -> FolderContent:
    """The files that hold the rows of a folder.

    Args:
        folder: saved by Hugging Face's `datasets`, with a table of media files, with tables or
            shards, or with media files alone.
        split: the one to read, where there are several.

    Raises:
        ValueError: if there are several splits and none is chosen, none of that name, or several
            kinds of containers.
    """
    if (folder / "dataset_dict.json").is_file():
        names = _json_list(folder / "dataset_dict.json", "splits")
        return content_of(folder / _chosen({name: name for name in names}, split, folder), None)
    if (folder / "state.json").is_file():
        if split is not None:
            _chosen(_saved_split(folder / "state.json"), split, folder)
        entries = _json_list(folder / "state.json", "_data_files")
        names = [entry["filename"] for entry in entries if isinstance(entry, dict)]
        return FolderContent([folder / Path(name).name for name in names], folder)
    if table := next((folder / name for name in METADATA if (folder / name).is_file()), None):
        return FolderContent([table], split=split)
    files = _tables(folder) or _tables(folder / "data")
    if files:
        return FolderContent(_of_one_kind(of_split(files, split, folder), folder))
    splits = {
        SPLITS[path.name.lower()]: path.name
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name.lower() in SPLITS
    }
    if splits:
        return content_of(folder / _chosen(splits, split, folder), None)
    if split is not None:
        raise ValueError(f"{folder} has no split {split!r}; it has none at all, so leave it out")
    # A table in a folder within tells of the media beside it.
    return FolderContent([*_inner_tables(folder)] or [folder])


def _inner_tables(folder: Path) -> Iterator[Path]:
    for home, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if table := next((name for name in METADATA if name in names), None):
            yield Path(home) / table


def _saved_split(state: Path) -> dict[str, str]:
    """The split that a saved data set says it is."""
    name = json.loads(state.read_text("utf-8")).get("_split")
    return {name: name} if isinstance(name, str) else {}


def _json_list(path: Path, key: str) -> list[Any]:
    try:
        values = json.loads(path.read_text("utf-8"))[key]
    except (ValueError, KeyError, TypeError):
        values = None
    if not isinstance(values, list) or not values:
        raise ValueError(f"{path} is no file of a saved data set: it has no list {key!r}")
    return values


def _tables(folder: Path) -> list[Path]:
    """The files of a folder, and of those within it named after splits, that hold rows."""
    if not folder.is_dir():
        return []
    files = [
        path
        for path in folder.iterdir()
        if path.is_file()
        and not path.name.startswith(".")
        and path.name not in _SAVED_FILES
        and suffix_of(path.name) in TABLES
    ]
    for inner in folder.iterdir():
        if inner.is_dir() and inner.name.lower() in SPLITS:
            has_metadata = any((inner / name).is_file() for name in METADATA)
            files += [] if has_metadata else _tables(inner)
    return sorted(files)


def split_of(path: Path) -> str | None:
    """The split that a file's name, or that of its folder, tells."""
    words = [word.lower() for word in _WORD.findall(f"{path.parent.name} {path.name}")]
    return next((SPLITS[word] for word in reversed(words) if word in SPLITS), None)


def of_split(files: Sequence[PathT], split: str | None, folder: Path | str) -> list[PathT]:
    """The files of a split, by their names.

    Args:
        files: paths or URLs.
        split: the one that is meant; None where the names tell one alone, or none.
        folder: that has them, for errors.

    Raises:
        ValueError: if there is none of that name, or there are several and none is chosen.
    """
    by_split: dict[str, list[PathT]] = {}
    for path in files:
        if name := split_of(Path(path)):
            by_split.setdefault(name, []).append(path)
    if not files:
        return []
    if not by_split and split is None:
        return list(files)
    if split is None and len(by_split) == 1 and sum(map(len, by_split.values())) == len(files):
        return list(files)
    return by_split[_chosen({name: name for name in by_split}, split, folder)]


def _chosen(names: dict[str, str], split: str | None, folder: Path | str) -> str:
    """The name of the split that is meant."""
    if split is None and len(names) == 1:
        return next(iter(names.values()))
    name = SPLITS.get(split.lower(), split) if split is not None else None
    if name in names:
        return names[name]
    if split in names.values():
        return str(split)
    options = ", ".join(names) or "none"
    if split is None:
        raise ValueError(
            f"{folder} has the splits {options}; choose one, as split: {next(iter(names))}"
        )
    raise ValueError(
        f"{folder} has no split {split!r}; it has {options}"
        + ("" if names else ", so leave split out")
    )


def _of_one_kind(files: Iterable[Path], folder: Path) -> list[Path]:
    files = list(files)
    kinds = {TABLES[suffix_of(path.name)] for path in files}
    if len(kinds) > 1:
        raise ValueError(
            f"{folder} holds files of several kinds ({', '.join(sorted(kinds))}); name those that "
            "are meant, as path: FOLDER/*.jsonl"
        )
    return files
