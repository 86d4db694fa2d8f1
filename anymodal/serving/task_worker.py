"""A thread that works off a queue of tasks, each for a job that somebody waits for."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, Protocol, TypeVar

from anymodal.serving.errors import EngineClosedError
from anymodal.serving.memory import trim_heap

REST = 1.0
"""Seconds without work after which the heap is trimmed."""


class Client(Protocol):
    """Who waits for a task."""

    @property
    def is_alive(self) -> bool:
        """Whether a further step is worth it."""

    def fail(self, error: Exception) -> None:
        """Take the error that there is in place of a result."""


class Task(Protocol):
    """Something to be done for a client."""

    @property
    def job(self) -> Client:
        """Who waits for it."""


TaskT = TypeVar("TaskT", bound=Task)
WorkT = TypeVar("WorkT")


class TaskWorker(ABC, Generic[TaskT, WorkT]):
    """Does tasks in its own thread, as they come in, unless nobody waits for them any more.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._tasks: deque[TaskT] = deque()
        self._condition = threading.Condition()
        self._is_closed = False
        self._has_garbage = False  # the heap is as large as the largest work since it was trimmed
        self._thread = threading.Thread(target=self._run, daemon=True, name=name)
        self._thread.start()

    @abstractmethod
    def _take(self) -> WorkT:
        """Take what is done next out of the tasks, of which there is one at least."""

    @abstractmethod
    def _do(self, work: WorkT) -> None:
        """Do what was taken; whatever goes wrong is told to the tasks' jobs."""

    @property
    def num_waiting(self) -> int:
        """Number of tasks that wait."""
        return len(self._tasks)

    def submit(self, task: TaskT) -> None:
        """Queue a task; once closed, end its job with an error."""
        with self._condition:
            if self._is_closed:
                task.job.fail(EngineClosedError())
                return
            self._tasks.append(task)
            self._condition.notify()

    def check_health(self) -> None:
        """Make sure that the thread runs.

        Raises:
            EngineClosedError: if it doesn't.
        """
        if not self._thread.is_alive():
            raise EngineClosedError

    def close(self) -> None:
        """End the thread, after what it does now; jobs that wait end with an error."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            self._do(work)
            self._has_garbage = True

    def _next(self) -> WorkT | None:
        """The work that is done next; None to end."""
        if self._has_garbage and not self._has_work(REST):
            trim_heap()  # while nobody waits for it
            self._has_garbage = False
        with self._condition:
            while True:
                # Ends jobs, too, whose client has left or whose time is up.
                self._tasks = deque(task for task in self._tasks if task.job.is_alive)
                if self._is_closed:
                    for task in self._tasks:
                        task.job.fail(EngineClosedError())
                    return None
                if self._tasks:
                    return self._take()
                self._condition.wait()

    def _has_work(self, seconds: float) -> bool:
        """Return whether there is something to do, or comes up within some seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: bool(self._tasks) or self._is_closed, seconds)
