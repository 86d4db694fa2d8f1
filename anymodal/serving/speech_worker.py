"""Speaks what replies say: one thread for a model, one sentence after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anymodal.chat.speech import SpeechOrder, join_speech, speak
from anymodal.media import Media
from anymodal.serving.errors import ModelFaultError, OutOfMemoryError
from anymodal.serving.job import Job, SpeechTask
from anymodal.serving.memory import free_memory, is_out_of_memory
from anymodal.serving.task_worker import TaskWorker
from anymodal.types import MediumDelta

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

_Passage = tuple[str, list[Media]]


class SpeechWorker(TaskWorker[SpeechTask, SpeechTask]):
    """Speaks sentences in its own thread, in the order that they come in.

    All speakers draw from one generator of torch's, so several at once would only wait for each
    other.

    Args:
        model: whose speakers speak.
    """

    def __init__(self, model: ComposedModel) -> None:
        self.model = model
        self._passages: dict[Job, dict[int, _Passage]] = {}  # what is spoken of them so far
        super().__init__("speech")

    @property
    def num_waiting(self) -> int:
        """Number of sentences that wait."""
        return sum(isinstance(task.order, SpeechOrder) for task in list(self._tasks))

    def _take(self) -> SpeechTask:
        # A job whose client has left may have no task that would take its passages out.
        passages = self._passages.items()
        self._passages = {job: each for job, each in passages if job.is_alive}
        return self._tasks.popleft()

    def _do(self, task: SpeechTask) -> None:
        try:
            self._speak(task)
        except Exception as error:
            self._passages.pop(task.job, None)
            task.job.fail(_fault(error))
            if is_out_of_memory(error):
                free_memory()

    def _speak(self, task: SpeechTask) -> None:
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
