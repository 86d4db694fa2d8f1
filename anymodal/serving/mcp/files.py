"""The folder of an MCP server: files that tools read, and media that they make."""

from __future__ import annotations

import os
from collections.abc import Iterator
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import quote, unquote

from anymodal.media import Limits, Media

SCHEME = "anymodal"
PREFIX = f"{SCHEME}://files/"
MOST_FILES = 10_000
"""The most files that are listed."""
MOST_RESOURCE_BYTES = 64 * 2**20
"""The most bytes of a file that is read as a resource, which travels in one message."""
_MIMES = {".csv": "text/csv", ".ply": "application/ply", ".npy": "application/x-npy"}


class SharedFolder:
    """Files below one folder, by their paths in it; what lies elsewhere is out of reach.

    Args:
        folder: made where there is none.
        limits: the most that a medium may hold.
    """

    def __init__(self, folder: str | Path, limits: Limits | None = None) -> None:
        self.folder = Path(folder).expanduser().resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.limits = limits or Limits()

    def path(self, name: str) -> Path:
        """The file of a name, a path or a resource's URI.

        Raises:
            ValueError: if it is in no such folder, or there is no such file.
        """
        name = unquote(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else name
        try:
            path = (self.folder / name).resolve()  # through links, which may lead out
            is_file = path.is_file()
        except (OSError, RuntimeError, ValueError):  # too long, links in a circle, no name at all
            path, is_file = self.folder, False
        if not path.is_relative_to(self.folder):
            raise ValueError(f"{name!r} lies outside of the shared folder; give a name in it")
        if not is_file or self._is_hidden(path):
            names = ", ".join(file.name for file in self._some(10)) or "no files"
            raise ValueError(f"there is no file {name[:200]!r}; the shared folder has {names}")
        return path

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            ValueError: if there is no such file, or it is larger than `MOST_RESOURCE_BYTES`.
        """
        path = self.path(name)
        with path.open("rb") as file:
            data = file.read(MOST_RESOURCE_BYTES + 1)
        if len(data) > MOST_RESOURCE_BYTES:
            size = path.stat().st_size
            raise ValueError(
                f"{path.name} has {size} bytes, and {MOST_RESOURCE_BYTES} are read at most"
            )
        return data

    def load(self, name: str) -> Media:
        """The medium in a file.

        Raises:
            ValueError: if there is no such file, or no medium in it.
        """
        return Media.load(self.path(name), limits=self.limits)

    def save(self, medium: Media, stem: str) -> Path:
        """Write a medium under a name that no file has."""
        number = 1
        while True:
            path = self.folder / f"{stem}-{number}{medium.suffix}"
            try:
                # Taken at once: other calls may save meanwhile.
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            except FileExistsError:
                number += 1
                continue
            return medium.save(path)

    def uri(self, path: Path) -> str:
        """The URI of a file as a resource."""
        return PREFIX + quote(path.relative_to(self.folder).as_posix())

    def files(self) -> Iterator[Path]:
        """Files, in the order of their names, but hidden ones and links that lead out."""
        names = sorted(path for path in self.folder.rglob("*") if self._is_shown(path))
        yield from names[:MOST_FILES]

    def _is_shown(self, path: Path) -> bool:
        try:
            target = path.resolve()
            is_within = target.is_relative_to(self.folder) and target.is_file()
        except (OSError, RuntimeError):  # links in a circle
            return False
        return is_within and not (self._is_hidden(path) or self._is_hidden(target))

    def _is_hidden(self, path: Path) -> bool:
        return any(part.startswith(".") for part in path.relative_to(self.folder).parts)

    def _some(self, count: int) -> list[Path]:
        return [path for path, _ in zip(self.files(), range(count), strict=False)]


def mime_of(path: Path) -> str:
    """The type of a file, by its suffix."""
    suffix = path.suffix.lower()
    return _MIMES.get(suffix) or guess_type(f"x{suffix}")[0] or "application/octet-stream"
