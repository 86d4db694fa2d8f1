"""Any container of rows, opened by its path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from anymodal.config.printable import printable
from anymodal.data.containers.arrow import ArrowRows
from anymodal.data.containers.base import BrokenFile, ChainedRows, RowSource, warn_of_broken
from anymodal.data.containers.braces import files_of
from anymodal.data.containers.copies import in_utf8, unpacked
from anymodal.data.containers.files import HUB, DataFile, check_url, is_url
from anymodal.data.containers.folders import TABLES, content_of, of_split, suffix_of
from anymodal.data.containers.hub import fetch_data_set
from anymodal.data.containers.json_array import JsonArray
from anymodal.data.containers.json_lines import JsonLines, begins_over_lines, looks_like_lines
from anymodal.data.containers.media_folder import MediaFolder
from anymodal.data.containers.shards import TarRows
from anymodal.data.containers.split_rows import SplitRows
from anymodal.data.containers.tables import CsvRows


def open_rows(
    path: str | Path | Sequence[str | Path],
    folder: str | Path | None = None,
    *,
    split: str | None = None,
    remote: bool = False,
    index_dir: str | Path | None = None,
) -> RowSource:
    """The rows of a container: their number at once, each when it is asked for.

    Args:
        path: a file: JSON, JSON Lines, CSV or TSV (also compressed), Parquet, Arrow or a tar shard;
            several, as `{000..099}`, a glob or a list; a folder of such files or of media; one
            saved by `datasets`; or `hf://datasets/USER/NAME`.
        folder: where relative names of media start; that of each file by default.
        split: the one to read, where names of files or folders tell several.
        remote: whether files may be at URLs, which fsspec reads.
        index_dir: a folder for indices and copies, instead of `.anymodal/` beside the data.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it can't be read.
        ValueError: if it isn't what it should be, or holds no rows.
    """
    names = [path] if isinstance(path, str | Path) else list(path)
    if not names:
        raise ValueError("path is an empty list; name at least one file")
    files: list[_Place] = []
    named: list[Path | str] = []
    for name in names:
        text = fetch_data_set(str(name)) if str(name).startswith(HUB) else str(name)
        for each in files_of(text):
            if is_url(each):
                check_url(each, remote)
                named.append(each)
                files.append(_Place(each, folder))
            elif Path(each).is_dir():
                content = content_of(Path(each), split)
                home = folder or content.folder
                files += [_Place(path, home, content.split) for path in content.paths]
            else:
                named.append(Path(each))
                files.append(_Place(Path(each), folder))
    if split is not None:
        chosen = of_split(named, split, _names(names))
        files = [each for each in files if each.path not in named or each.path in chosen]
    parts, broken = _open_all(files, remote, index_dir)
    rows = parts[0] if len(parts) == 1 and not broken else _chained(parts, broken)
    if not len(rows):
        raise ValueError(f"{_names(names)} holds no entries; give at least one")
    return rows


class _Place(NamedTuple):
    """A file, and the folder where its names of media start; None for its own.

    Attributes:
        split: whose rows are meant of a table with those of several; None for all.
    """

    path: Path | str
    folder: str | Path | None
    split: str | None = None


def _chained(parts: list[RowSource], broken: list[BrokenFile]) -> RowSource:
    warn_of_broken(broken, len(parts) + len(broken))
    kinds = {part.container for part in parts}
    if len(kinds) > 1:
        raise ValueError(
            f"the files are of several kinds ({', '.join(sorted(kinds))}); open each kind as a "
            "data set of a mixture"
        )
    return ChainedRows(parts, broken)


def _open_all(
    files: Sequence[_Place],
    remote: bool,
    index_dir: str | Path | None,
) -> tuple[list[RowSource], list[BrokenFile]]:
    """The containers of files, and those files that are none."""
    parts: list[RowSource] = []
    broken: list[BrokenFile] = []
    for place in files:
        if len(files) == 1:
            return [_open_split(place, remote, index_dir)], []
        try:
            parts.append(_open_split(place, remote, index_dir))
        # Not OSError: a disk or a host that fails may answer again, and then hold other samples.
        except ValueError as error:
            broken.append(BrokenFile(str(place.path), str(error)))
    if not parts:
        raise ValueError(f"none of the {len(files)} files can be read; {broken[0].reason}")
    return parts, broken


def _open_split(place: _Place, remote: bool, index_dir: str | Path | None) -> RowSource:
    home = Path(place.folder) if place.folder is not None else None
    rows = _open(place.path, home, remote, index_dir)
    return rows if place.split is None else SplitRows(rows, place.split, index_dir)


def _open(
    path: Path | str, folder: Path | None, remote: bool, index_dir: str | Path | None
) -> RowSource:
    if isinstance(path, Path) and path.is_dir():
        return MediaFolder(path, index_dir)
    file = DataFile.of(path, remote)
    home = folder or (path.parent if isinstance(path, Path) else Path())
    kind = TABLES.get(suffix_of(file.name), "")
    if kind in ("JSON", "JSON Lines", ""):
        return _open_json(file, home, index_dir, kind)
    return _KINDS[kind](file, home, index_dir)


_KINDS: dict[str, Callable[[DataFile, Path, str | Path | None], RowSource]] = {
    "CSV": CsvRows.open,
    "Parquet": ArrowRows,
    "Arrow": ArrowRows,
    "WebDataset": TarRows.open,
}


def _open_json(file: DataFile, folder: Path, index_dir: str | Path | None, kind: str) -> RowSource:
    """A list or lines, whichever the content is."""
    plain = in_utf8(unpacked(file, index_dir), index_dir)
    sign = plain.read(0, min(plain.size, 64)).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if not kind and sign not in (b"[", b"{"):
        raise ValueError(
            f"{printable(file.path)} is of no known container; give one of {', '.join(TABLES)}, "
            "or a folder"
        )
    if sign == b"{" and begins_over_lines(plain):
        raise ValueError(
            f"{printable(file.path)} begins with an object over several lines; write each object "
            "on a line of its own, as `jq -c . FILE` does, or a list of them"
        )
    has_lines = sign != b"[" if kind == "JSON Lines" else looks_like_lines(plain)
    cls = JsonLines if has_lines else JsonArray
    return cls.open(file, folder, index_dir)


def _names(names: Sequence[str | Path]) -> str:
    return ", ".join(printable(str(name)) for name in names[:3])
