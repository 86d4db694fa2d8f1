"""Files that rows are read from: of this machine, or at a URL that the user allows."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from anymodal.config.printable import printable

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(?:::|://)")
HUB = "hf://datasets/"
"""How the names of the hub's data sets begin."""
_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w-]*")
_COMMANDS = {"pipe", "ssh", "sftp"}
"""Schemes that start programs or sessions; `pipe:` is WebDataset's."""


def is_url(path: str) -> bool:
    """Return whether a path names something by a URL, such as `s3://bucket/a.tar`."""
    return _SCHEME.match(path) is not None


@dataclass(frozen=True)
class DataFile:
    """A file as it is now.

    Args:
        path: absolute, or a URL.
        size: bytes.
        version: another one when the content has changed: the time of its last change in ns, or
            what the URL's file system tells.
    """

    path: str
    size: int
    version: str

    @classmethod
    def of(cls, path: str | Path, remote: bool = False) -> DataFile:
        """The file of a path or a URL.

        Args:
            path: of the file.
            remote: whether it may be a URL.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is a URL and these aren't allowed, or no regular file.
        """
        if is_url(str(path)):
            return cls._of_url(str(path), remote)
        absolute = os.path.abspath(path)
        try:
            status = os.stat(absolute)
        except FileNotFoundError:
            text = (
                f"no such file; a data set of the hub is {HUB}{path}"
                if _HUB_NAME.fullmatch(str(path))
                else "no such file or folder"
            )
            raise FileNotFoundError(2, text, str(path)) from None
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device could block or never end
            raise ValueError(f"{printable(absolute)} is no regular file")
        return cls(absolute, status.st_size, str(status.st_mtime_ns))

    @classmethod
    def _of_url(cls, url: str, remote: bool) -> DataFile:
        check_url(url, remote)
        with _remote_errors(url):
            system, path = _file_system(url)
            size = int(system.info(path)["size"])
            return cls(url, size, str(system.ukey(path)))

    @property
    def name(self) -> str:
        """The last part of its path, for errors."""
        return printable(self.path.rstrip("/").rpartition("/")[2] or self.path)

    @property
    def stamp(self) -> tuple[str, int, str]:
        """Equal for the same content."""
        return self.path, self.size, self.version

    @property
    def is_local(self) -> bool:
        """Return whether it lies on this machine."""
        return not is_url(self.path)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a range.

        Raises:
            OSError: if it can't be read.
            ValueError: if the file has become shorter.
        """
        if self.is_local:
            with open(self.path, "rb", buffering=0) as file:
                file.seek(start)
                data = file.read(stop - start)
        else:
            with _remote_errors(self.path):
                system, path = _file_system(self.path)
                data = cast(bytes, system.cat_file(path, start, stop))
        if len(data) != stop - start:
            raise ValueError(f"{self.name} has changed since it was opened; start again")
        return data

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The file, to be read from its beginning."""
        if self.is_local:
            with open(self.path, "rb") as local:
                yield local
            return
        with _remote_errors(self.path):
            system, path = _file_system(self.path)
            with system.open(path, "rb") as distant:
                yield cast(BinaryIO, distant)


def check_url(url: str, remote: bool) -> None:
    """Refuse a URL that isn't allowed.

    Raises:
        ValueError: naming it and the setting that allows it.
    """
    match = _SCHEME.match(url)
    assert match is not None, "it is a URL"
    if match[1].lower() in _COMMANDS or "::" in url:
        raise ValueError(f"{printable(url)}: URLs that start programs or chain others aren't read")
    if not remote:
        raise ValueError(
            f"{printable(url)} is a remote URL, and these are off; give remote: true beside the "
            "path if the data are to come from there, or download them"
        )


def _file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL. Asked for each time: it knows a forked process from its parent."""
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{printable(url)} is read through fsspec; pip install 'anymodal[remote]'"
        ) from error
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise ValueError(f"{printable(url)} needs another package: {error}") from error
    return cast(Any, system), str(path)


@contextmanager
def _remote_errors(url: str) -> Iterator[None]:
    """Errors of fsspec's many clients as those of a file that can't be read."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(2, "no such file", printable(url)) from None
    except (OSError, ValueError):
        raise
    except Exception as error:  # clients have classes of their own
        raise OSError(f"{printable(url)} can't be read: {type(error).__name__}: {error}") from error
