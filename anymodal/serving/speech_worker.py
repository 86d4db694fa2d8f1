"""Speaks what replies say: one thread for a model, one sentence after the other."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from anymodal.chat.speech import SpeechOrder, join_speech, speak
from anymodal.media import Media
from anymodal.serving.errors import EngineClosedError, ModelFaultError, OutOfMemoryError
from anymodal.serving.job import Job, SpeechTask
from anymodal.serving.memory import free_memory, is_out_of_memory
from anymodal.types import MediumDelta

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

_Passage = tuple[str, list[Media]]


class SpeechWorker:
    """Speaks sentences in its own thread, in the order that they come in.

    All speakers draw from one generator of torch's, so several at once would only wait for each
    other. A sentence isn't begun when nobody waits for it any more.

    Args:
        model: whose speakers speak.
    """

    def __init__(self, model: ComposedModel) -> None:
        self.model = model
        self._tasks: deque[SpeechTask] = deque()
        self._passages: dict[Job, dict[int, _Passage]] = {}  # what is spoken of them so far
        self._condition = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="speech")
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """Number of sentences that wait."""
        return sum(isinstance(task.order, SpeechOrder) for task in list(self._tasks))

    def submit(self, task: SpeechTask) -> None:
        """Queue a sentence, or the end of a passage; once closed, end its job with an error."""
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
        """End the thread, after the sentence that is being spoken."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while (task := self._next_task()) is not None:
            try:
                self._do(task)
            except Exception as error:
                self._passages.pop(task.job, None)
                task.job.fail(_fault(error))
                if is_out_of_memory(error):
                    free_memory()

    def _next_task(self) -> SpeechTask | None:
        with self._condition:
            while True:
                if self._is_closed:
                    for task in self._tasks:
                        task.job.fail(EngineClosedError())
                    return None
                while self._tasks:
                    task = self._tasks.popleft()
                    # A job whose client has left may have no task that would take its passages out.
                    passages = self._passages.items()
                    self._passages = {job: each for job, each in passages if job.is_alive}
                    if task.job.is_alive:
                        return task
                self._condition.wait()

    def _do(self, task: SpeechTask) -> None:
        job, order = task.job, task.order
        passages = self._passages.setdefault(job, {})
        if isinstance(order, SpeechOrder):
            medium = speak(self.model, order, job.media_settings[order.name])
            passages.setdefault(order.index, (order.name, []))[1].append(medium)
            job.emit(MediumDelta(order.index, order.name, medium))
            return
        name, media = passages.pop(order)
        if not passages:
            del self._passages[job]
        job.finish_medium(order, name, join_speech(self.model, name, media, job.settings.seed))


def _fault(error: Exception) -> Exception:
    if is_out_of_memory(error):
        return OutOfMemoryError()
    fault = ModelFaultError(f"a reply couldn't be spoken: {error}")
    fault.__cause__ = error
    return fault
