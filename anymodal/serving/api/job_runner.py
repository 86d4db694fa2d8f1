"""Runs jobs in the background, a few at once; what was under way begins again after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from anymodal.serving.api.errors import api_error
from anymodal.serving.api.job_store import COMPLETED, FAILED, RUNNING, BackgroundJob, JobStore
from anymodal.serving.errors import EngineClosedError, QueueFullError

SWEEP_SECONDS = 60.0

Report = Callable[[int], None]
"""Takes a job's progress in percent."""
JobResult = dict[str, str]
"""Facts about what a job made."""
Work = Callable[[BackgroundJob, Report], Awaitable[JobResult]]


class JobRunner:
    """Runs jobs, each as a task of the server's event loop.

    Args:
        folder: where jobs are kept; None for a temporary one, which ends with the server.
        keep_seconds: how long a job is kept after its end.
        num_running: the most jobs at once; others wait.
        work: does one job.
    """

    def __init__(
        self, folder: Path | None, keep_seconds: float, num_running: int, work: Work
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory() if folder is None else None
        path = Path(self._temporary.name) if self._temporary is not None else folder
        assert path is not None
        self.store = JobStore(path, keep_seconds)
        self.work = work
        self.progress: dict[str, int] = {}
        self._room = asyncio.Semaphore(num_running)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with what waits."""
        self._sweeper = asyncio.create_task(self._sweep())
        for job in self.store.queued():
            self.submit(job)

    def submit(self, job: BackgroundJob) -> None:
        """Queue a job that is in the store."""
        task = self._tasks[job.id] = asyncio.create_task(self._run(job))
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def delete(self, job: BackgroundJob) -> None:
        """End a job, and forget it."""
        if (task := self._tasks.get(job.id)) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(self.store.delete, job.id)

    async def close(self) -> None:
        """End all tasks; what they did goes on after the next start."""
        tasks = [*self._tasks.values(), *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.store.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    async def _run(self, job: BackgroundJob) -> None:
        async with self._room:
            job = dataclasses.replace(job, status=RUNNING)
            await self._put(job)
            try:
                result = await self._work_with_patience(job)
            except EngineClosedError:  # the server goes down: it begins again
                return
            except Exception as error:
                answer = api_error(error)
                code = answer.code or answer.kind
                job = dataclasses.replace(
                    job, status=FAILED, error={"code": code, "message": answer.message}
                )
            else:
                job = dataclasses.replace(job, status=COMPLETED, result=result)
            finally:
                self.progress.pop(job.id, None)
            now = int(time.time())
            expires = now + int(self.store.keep_seconds)
            await self._put(dataclasses.replace(job, completed_at=now, expires_at=expires))

    async def _work_with_patience(self, job: BackgroundJob) -> JobResult:
        """Do a job; where too many requests are under way, it waits."""

        def report(percent: int) -> None:
            self.progress[job.id] = percent

        while True:
            try:
                return await self.work(job, report)
            except QueueFullError as error:
                await asyncio.sleep(error.retry_after)

    async def _put(self, job: BackgroundJob) -> None:
        # To its end, also if the task is cancelled meanwhile.
        await asyncio.shield(asyncio.to_thread(self.store.update, job))

    async def _sweep(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # as of a full disk, which may have room later
                await asyncio.to_thread(self.store.sweep)
            await asyncio.sleep(SWEEP_SECONDS)
