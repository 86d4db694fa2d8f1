"""Files of results, to which a batch adds until it is done, whatever happens in between."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from anymodal.io.checkpoint import replacing
from anymodal.serving.batch.request_file import BatchRequest

Json = dict[str, Any]


def result_row(
    request: BatchRequest, status: int = 0, body: object = None, request_id: str = ""
) -> Json:
    """The line of an answer, or of a request that couldn't be asked."""
    response = None
    if request.error is None:
        response = {"status_code": status, "request_id": request_id, "body": body}
    return {
        "id": request.id, "custom_id": request.custom_id, "response": response,
        "error": request.error,
    }  # fmt: skip


def has_failed(row: Json) -> bool:
    """Return whether a result is an error."""
    return row.get("error") is not None or (row.get("response") or {}).get("status_code") != 200


class ResultFile:
    """The results of a batch so far.

    A line counts when it is whole: one that was cut off, as by `kill -9`, is written anew.

    Args:
        path: of the file; it is made if it isn't there.
        identities: of all requests.
        retry_failed: forget results that are errors.

    Attributes:
        done: ids of the requests that have a result.
        num_failed: how many results are errors.

    Raises:
        OSError: if it can't be written.
        ValueError: if it holds something else, results of other requests, or another batch uses it.
    """

    def __init__(
        self, path: Path, identities: Collection[str], *, retry_failed: bool = False
    ) -> None:
        self.path = path
        self.done: set[str] = set()
        self.num_failed = 0
        if not path.parent.is_dir():
            raise FileNotFoundError(2, "no such folder to write results in", str(path.parent))
        path.touch()
        self._file = _open_alone(path)
        try:
            if retry_failed:
                self._drop_failed()
            self._read(identities)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def add(self, row: Json) -> None:
        """Add a result; it is in the file when this returns."""
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()
        self._count(row)

    def _count(self, row: Json) -> None:
        self.done.add(row["id"])
        self.num_failed += has_failed(row)

    def _read(self, identities: Collection[str]) -> None:
        end = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break  # cut off
            row = _row(line)
            if row is None:
                raise ValueError(f"line {number} of {self.path} is no result; name another --out")
            if row["id"] not in identities:
                raise ValueError(
                    f"line {number} of {self.path} is the result of another request; were the "
                    "requests changed? Name another --out"
                )
            self._count(row)
            end += len(line)
        self._file.seek(end)
        self._file.truncate()

    def _drop_failed(self) -> None:
        with open(self.path, "rb") as old, replacing(self.path) as temporary:
            with open(temporary, "wb") as new:
                for line in old:
                    row = _row(line)
                    if row is None or not has_failed(row):  # what is none is told when it is read
                        new.write(line)
        with self._file:  # held until the new one is
            self._file = _open_alone(self.path)


def _row(line: bytes) -> Json | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("id"), str) else None


def _open_alone(path: Path) -> IO[bytes]:
    """A file that no other batch writes."""
    file = open(path, "r+b")  # noqa: SIM115 (closed by who has it)
    try:
        import fcntl
    except ImportError:  # as on Windows
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ValueError(f"another batch writes {path}; wait for it, or name another") from None
    return file
