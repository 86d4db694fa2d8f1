"""Makes media that replies ask for: one thread a decoder, one batch for equal settings."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from anymodal.chat.orders import Order, make
from anymodal.decoders.base import NonFiniteError
from anymodal.decoders.references import ReferenceSizeError
from anymodal.media import Media
from anymodal.serving.errors import EngineClosedError, ModelFaultError, OutOfMemoryError
from anymodal.serving.memory import free_memory, is_out_of_memory
from anymodal.serving.task_worker import Client, TaskWorker
from anymodal.types import Event, MediumProgress

if TYPE_CHECKING:
    from anymodal.core import ComposedModel


class MediaClient(Client, Protocol):
    """Who waits for media: a `Job`, or one whose reply is written elsewhere."""

    @property
    def media_settings(self) -> Mapping[str, Mapping[str, Any]]:
        """Arguments of `Decoder.sample` by modality."""

    def emit(self, event: Event) -> None:
        """Take an event."""

    def finish_medium(self, index: int, modality: str, medium: Media) -> None:
        """Take a medium."""


@dataclass(frozen=True, eq=False)
class MediaTask:
    """A medium to be made for a job."""

    job: MediaClient
    order: Order


class _AbandonedError(BaseException):
    """Nobody waits for any of a batch; nothing but the end of the work may catch it."""


class MediaWorker(TaskWorker[MediaTask, list[MediaTask]]):
    """Makes the media of one modality, in its own thread.

    Waiting media of equal settings are made in one batch, each with its own generator. A batch
    ends at its next step when nobody waits for any of it, or when the worker is closed.

    Args:
        model: whose decoder makes them.
        modality: its name.
        batch_size: the most media in a batch.
    """

    def __init__(self, model: ComposedModel, modality: str, batch_size: int) -> None:
        self.model, self.modality, self.batch_size = model, modality, batch_size
        super().__init__(f"media-{modality}")

    def _take(self) -> list[MediaTask]:
        """The medium that waits longest, and others that can be made with it."""
        settings = self._settings(self._tasks[0])
        batch = [task for task in self._tasks if self._settings(task) == settings]
        batch = batch[: self.batch_size]
        self._tasks = deque(task for task in self._tasks if task not in batch)
        return batch

    def _do(self, batch: list[MediaTask]) -> None:
        self._make(batch)

    def _settings(self, task: MediaTask) -> dict[str, object]:
        return dict(task.job.media_settings[self.modality])

    def _make(self, batch: Sequence[MediaTask], is_retry: bool = False) -> None:
        """Make a batch. Where memory runs out it is halved; a single one is tried once more."""
        try:
            self._sample(batch)
        except _AbandonedError:
            return
        except ReferenceSizeError as error:  # of one of them, and the settings are its request's
            if len(batch) > 1:
                for task in batch:
                    self._make([task])
            else:
                batch[0].job.fail(error)
            return
        except Exception as error:
            if not is_out_of_memory(error):
                for task in batch:
                    task.job.fail(_fault(error))
                return
        else:
            return
        free_memory()  # out here, where the error's traceback holds nothing any more
        if len(batch) > 1:
            half = len(batch) // 2  # a medium has its own generator, so halves give the same
            self._make(batch[:half])
            self._make(batch[half:])
        elif is_retry:
            batch[0].job.fail(OutOfMemoryError())
        else:
            self._make(batch, is_retry=True)

    def _sample(self, batch: Sequence[MediaTask]) -> None:
        orders = [task.order for task in batch]
        progress = partial(self._progress, batch)
        try:
            media = make(self.model, self.modality, orders, self._settings(batch[0]), progress)
        except NonFiniteError as error:  # of some; the others are whole
            for task, medium in zip(batch, error.partial, strict=True):
                if medium is None:
                    task.job.fail(_fault(error))
                else:
                    task.job.finish_medium(task.order.index, self.modality, medium)
            return
        for task, medium in zip(batch, media, strict=True):
            task.job.finish_medium(task.order.index, self.modality, medium)

    def _progress(self, batch: Sequence[MediaTask], step: int, steps: int) -> None:
        tasks = [task for task in batch if task.job.is_alive]
        if self._is_closed:
            for task in tasks:
                task.job.fail(EngineClosedError())
        if self._is_closed or not tasks:
            raise _AbandonedError
        for task in tasks:
            task.job.emit(MediumProgress(task.order.index, self.modality, step, steps))


def _fault(error: Exception) -> ModelFaultError:
    fault = ModelFaultError(f"a medium couldn't be made: {error}")
    fault.__cause__ = error
    return fault
