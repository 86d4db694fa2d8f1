"""Jobs and what they made, in one folder: a table in SQLite, and files beside it.

They outlast the server, so that a client may ask again after a restart.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anymodal.media.source import write_file

QUEUED, RUNNING, COMPLETED, FAILED = "queued", "in_progress", "completed", "failed"
_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, owner TEXT NOT NULL,
    model TEXT NOT NULL, prompt TEXT NOT NULL, seed TEXT NOT NULL, sampling TEXT NOT NULL,
    made_from TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL,
    completed_at INTEGER, expires_at INTEGER, result TEXT NOT NULL DEFAULT '{}', error TEXT
)
"""
_COLUMNS = ("id", "owner", "model", "prompt", "seed", "sampling", "made_from", "status",
            "created_at", "completed_at", "expires_at", "result", "error")  # fmt: skip
# Among them the seed, which may have more than SQLite's 63 bits.
_AS_JSON = ("seed", "sampling", "made_from", "result", "error")


@dataclass(frozen=True)
class BackgroundJob:
    """A job, as it stands in the table.

    Attributes:
        id: by which clients ask for it.
        owner: tells whose it is, of those who have API keys.
        model: the name of the model.
        prompt: what to make.
        seed: of the medium, so that a job that begins again makes the same.
        sampling: settings of media by modality.
        made_from: references of media by modality.
        status: queued, in_progress, completed or failed.
        created_at: in seconds since 1970, as `completed_at` and `expires_at`, which come later.
        result: facts about what was made.
        error: code and message, of one that failed.
    """

    id: str
    owner: str
    model: str
    prompt: str
    seed: int
    sampling: Mapping[str, Mapping[str, Any]]
    made_from: Mapping[str, int | list[int]] = field(default_factory=dict)
    status: str = QUEUED
    created_at: int = field(default_factory=lambda: int(time.time()))
    completed_at: int | None = None
    expires_at: int | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, str | None] | None = None


def new_job_id(kind: str) -> str:
    """An identifier that nobody can guess."""
    return f"{kind}_{secrets.token_hex(16)}"


class JobStore:
    """Keeps jobs and their files.

    Args:
        folder: where; it is made, for this user alone, if it isn't there.
        keep_seconds: how long a job is kept after its end.

    Raises:
        ValueError: if another server uses the folder, or its table is damaged.
    """

    def __init__(self, folder: Path, keep_seconds: float) -> None:
        self.folder, self.keep_seconds = folder.absolute(), keep_seconds
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(folder / "jobs.sqlite3", 1.0, check_same_thread=False)
        try:
            # Two servers would both go on with what the last one left.
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(_TABLE)
            self._database.execute("UPDATE jobs SET status=? WHERE status=?", (QUEUED, RUNNING))
            self._database.commit()
            self._delete_orphans()
        except sqlite3.Error as error:
            self._database.close()
            raise ValueError(
                f"{folder} holds no jobs that can be read: {error}; end the other server that uses "
                "it, or name another folder"
            ) from error

    def _delete_orphans(self) -> None:
        """Delete files of jobs that are no more, which a thread wrote while they were deleted."""
        identities = {job.id for job in self._select("1")}
        for path in self.folder.glob("*_*.*"):
            if path.name.partition(".")[0] not in identities:
                path.unlink(missing_ok=True)

    def file(self, identity: str, suffix: str) -> Path:
        """The path of a job's file of one kind."""
        return self.folder / f"{identity}{suffix}"

    def save(self, identity: str, suffix: str, data: bytes) -> None:
        """Write a job's file, whole or not at all."""
        write_file(self.file(identity, suffix), data)

    def add(self, job: BackgroundJob) -> None:
        """Add a job."""
        names, marks = ", ".join(_COLUMNS), ", ".join("?" * len(_COLUMNS))
        with self._lock, self._database:
            self._database.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", _row(job))

    def update(self, job: BackgroundJob) -> None:
        """Change a job; one that was deleted meanwhile stays so."""
        changes = ", ".join(f"{name}=?" for name in _COLUMNS)
        with self._lock, self._database:
            self._database.execute(f"UPDATE jobs SET {changes} WHERE id=?", [*_row(job), job.id])

    def get(self, identity: str, owner: str) -> BackgroundJob | None:
        """A job of an owner; None if there is none."""
        jobs = self._select("id=? AND owner=?", identity, owner)
        return jobs[0] if jobs else None

    def queued(self) -> list[BackgroundJob]:
        """All jobs that wait, the oldest first."""
        return self._select("status=? ORDER BY number", QUEUED)

    def page(
        self, owner: str, after: str | None, limit: int, newest_first: bool
    ) -> list[BackgroundJob]:
        """Jobs of an owner by age, at most so many, that come after another one."""
        order, compare = ("DESC", "<") if newest_first else ("ASC", ">")
        condition, values = "owner=?", [owner]
        if after is not None:
            condition += f" AND number {compare} (SELECT number FROM jobs WHERE id=?)"
            values.append(after)
        return self._select(f"{condition} ORDER BY number {order} LIMIT ?", *values, limit)

    def count(self) -> int:
        """Number of jobs of all owners."""
        with self._lock:
            return int(self._database.execute("SELECT COUNT(*) FROM jobs").fetchone()[0])

    def delete(self, identity: str) -> None:
        """Forget a job, and delete its files."""
        with self._lock, self._database:
            self._database.execute("DELETE FROM jobs WHERE id=?", (identity,))
        for path in self.folder.glob(f"{identity}.*"):
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete jobs whose time is over."""
        for job in self._select("expires_at<?", int(time.time())):
            self.delete(job.id)

    def close(self) -> None:
        """Close the table."""
        with self._lock:
            self._database.close()

    def _select(self, condition: str, *values: str | int) -> list[BackgroundJob]:
        query = f"SELECT {', '.join(_COLUMNS)} FROM jobs WHERE {condition}"
        with self._lock:
            rows = self._database.execute(query, values).fetchall()
        return [_job(row) for row in rows]


def _row(job: BackgroundJob) -> list[object]:
    values = [(name, getattr(job, name)) for name in _COLUMNS]
    return [
        json.dumps(value) if name in _AS_JSON and value is not None else value
        for name, value in values
    ]


def _job(row: tuple[Any, ...]) -> BackgroundJob:
    return BackgroundJob(
        **{
            name: json.loads(value) if name in _AS_JSON and value is not None else value
            for name, value in zip(_COLUMNS, row, strict=True)
        }
    )
