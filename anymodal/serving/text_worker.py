"""Writes the texts of all requests in one running batch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

import torch

from anymodal.chat.orders import orders_of
from anymodal.language.continuous import BatchRow, ContinuousBatch
from anymodal.language.reply_state import Prompt, SpanReady
from anymodal.language.text_stream import TextToken
from anymodal.serving.errors import EngineClosedError, ModelFaultError, OutOfMemoryError
from anymodal.serving.job import Job
from anymodal.serving.media_worker import MediaTask
from anymodal.serving.memory import free_memory, is_out_of_memory
from anymodal.serving.prefix_store import PrefixStore
from anymodal.types import TokenUsage

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

Ready = tuple[Job, Prompt]
T = TypeVar("T")


class TextWorker:
    """Owns the running batch, in its own thread: jobs join and leave it at every token.

    Where memory runs out, half of the batch is parked and takes turns later.

    Args:
        model: who writes.
        prefixes: keys and values of earlier replies.
        batch_size: the most replies in the batch.
        order_medium: takes what a reply asks for.
    """

    def __init__(
        self,
        model: ComposedModel,
        prefixes: PrefixStore,
        batch_size: int,
        order_medium: Callable[[MediaTask], None],
    ) -> None:
        self.model, self.prefixes, self.order_medium = model, prefixes, order_medium
        self.batch_size = self._limit = batch_size
        self._batch = ContinuousBatch(model.language, model.signals)
        self._jobs: dict[BatchRow, Job] = {}
        self._parked_rows: deque[BatchRow] = deque()
        self._queue: SimpleQueue[Ready | None] = SimpleQueue()
        self._failed_row: BatchRow | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="text")
        self._thread.start()

    @property
    def num_replies(self) -> int:
        """Number of replies being written, the parked ones included."""
        return len(self._jobs)

    @property
    def num_waiting(self) -> int:
        """Number of replies that wait to join the batch, the parked ones included."""
        return self._queue.qsize() + len(self._parked_rows)

    def submit(self, job: Job, prompt: Prompt) -> None:
        """Queue a job whose prompt is ready."""
        self._queue.put((job, prompt))

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread at its next step."""
        self._is_closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed:
            # First, so that places of replies that nobody waits for go to others.
            self._drop_ended()
            self._admit()
            if len(self._batch):
                self._step()
        for job in self._jobs.values():
            job.fail(EngineClosedError())
        while not self._queue.empty():
            if (ready := self._queue.get()) is not None:
                ready[0].fail(EngineClosedError())

    # ---- Joining ------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Let rows join while there is room; wait for one where the batch is empty."""
        # Parked rows first, since they began earlier.
        while self._parked_rows and len(self._batch) < self._limit:
            self._reenter(self._parked_rows.popleft())
        while len(self._batch) < self._limit and not self._is_closed:
            idle = not len(self._batch) and not self._parked_rows
            try:
                ready = self._queue.get(block=idle)  # a running batch doesn't wait for a prompt
            except Empty:
                return
            if ready is not None and ready[0].is_alive:
                self._join(*ready)

    def _join(self, job: Job, prompt: Prompt) -> None:
        # On the CPU, so that a seed means the same on every device.
        generator = torch.Generator().manual_seed(job.settings.seed)

        def join() -> BatchRow:
            return self._batch.join(
                prompt,
                job.settings.sampling,
                generator=generator,
                cache=self.prefixes.find(prompt.keys),
                forced=job.request.forced,
            )

        try:
            row = self._retry_with_room(join)
        except Exception as error:
            job.fail(OutOfMemoryError() if is_out_of_memory(error) else error)
            return
        self._jobs[row] = job
        job.usage = TokenUsage(len(prompt.keys), row.num_cached)
        self._deliver(row)

    def _reenter(self, row: BatchRow) -> None:
        """Let a row go on that left the batch before its end."""
        job = self._jobs[row]
        try:
            self._retry_with_room(lambda: self._batch.rejoin(row))
        except Exception as error:
            self._forget(row)
            job.fail(_failure(error))
        else:
            self._deliver(row)

    def _retry_with_room(self, work: Callable[[], T]) -> T:
        """Do something, and once more with half of the batch where memory runs out."""
        try:
            return work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._make_room()
        return work()

    def _make_room(self) -> None:
        """Park half of the batch, and give back what is only kept for later."""
        self._limit = max(1, len(self._batch) // 2)
        for row in self._batch.rows[self._limit :]:
            self._batch.leave(row)
            self._parked_rows.append(row)
        self.prefixes.clear()
        free_memory()

    # ---- Stepping -----------------------------------------------------------------------------

    def _step(self) -> None:
        rows = list(self._batch.rows)
        try:
            apart = self._batch.step()
        except Exception as error:
            step_error = error
        else:
            self._failed_row = None
            for row in rows:
                self._deliver(row)
            for row in apart:
                if row in self._jobs:
                    self._reenter(row)
            return
        self._recover(step_error)

    def _recover(self, error: Exception) -> None:
        """Go on after a step that failed: with half of the batch, once more with a single row, or
        without those that it failed for.
        """
        if not is_out_of_memory(error):
            self._fail(list(self._batch.rows), _failure(error))
        elif len(self._batch) > 1:
            self._make_room()
        elif self._failed_row is not self._batch.rows[0]:
            self._failed_row = self._batch.rows[0]
            self._make_room()
        else:
            self._fail(list(self._batch.rows), OutOfMemoryError())

    def _fail(self, rows: Sequence[BatchRow], error: Exception) -> None:
        for row in rows:
            job = self._jobs[row]
            self._forget(row)
            job.fail(error)

    def _drop_ended(self) -> None:
        for row, job in list(self._jobs.items()):
            if not job.is_alive:
                self._forget(row)

    def _forget(self, row: BatchRow) -> None:
        self._batch.leave(row)
        self._jobs.pop(row, None)
        if row in self._parked_rows:
            self._parked_rows.remove(row)

    # ---- Telling ------------------------------------------------------------------------------

    def _deliver(self, row: BatchRow) -> None:
        """Pass on what a row has written, and end it where it has ended."""
        job = self._jobs[row]
        # A span's event runs the head, which may fail for this reply alone.
        try:
            for event in row.drain():
                self._handle(job, event)
                if job.has_all_text:
                    row.state.finish_reason = "stop"
                    break
        except Exception as error:
            row.error = error
        if not (row.is_done or row.error or job.has_all_text):
            return
        self._forget(row)
        if row.error is not None:
            job.fail(_failure(row.error))
            return
        # After memory ran out, the batch grows again by one for each reply that ends well.
        self._limit = min(self._limit + 1, self.batch_size)
        self.prefixes.put(row.cache)
        usage = TokenUsage(job.usage.prompt, job.usage.cached, row.state.tokens)
        job.finish_text(row.state.finish_reason or "stop", usage, row.state.probabilities)

    def _handle(self, job: Job, event: TextToken | SpanReady) -> None:
        if isinstance(event, TextToken):
            job.write(event.text, event.logprobs)
            return
        settings = job.settings
        orders = orders_of(
            self.model, event, job.num_media, settings.seed, settings.media, job.references
        )
        for _ in orders:  # all of them first: no reply is complete while more are to come
            job.start_medium(event.name)
        for order in orders:
            job.order_medium(order, lambda complete: self.order_medium(MediaTask(job, complete)))


def _failure(error: Exception) -> Exception:
    """The error that a request gets for one in the middle of its reply."""
    if is_out_of_memory(error):
        return OutOfMemoryError()
    fault = ModelFaultError(f"the model failed in the middle of a reply: {error}")
    fault.__cause__ = error
    return fault
