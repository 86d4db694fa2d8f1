"""Reads requests: conversations become embeddings, their media soft tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

import torch

from anymodal.chat.turn import embedded_prompt
from anymodal.fusion.states import state_key
from anymodal.language.packing import pack
from anymodal.language.reply_state import Prompt
from anymodal.serving.errors import EngineClosedError, OutOfMemoryError
from anymodal.serving.job import Job
from anymodal.serving.memory import free_memory, is_out_of_memory
from anymodal.serving.prefix_store import SoftTokenStore

if TYPE_CHECKING:
    from anymodal.core import ComposedModel


class Preparer:
    """Lays out prompts and encodes their media, in its own thread, so that replies go on meanwhile.

    Args:
        model: whose encoders read.
        soft: soft tokens of media that were read before.
        hand_on: takes each job with its prompt.
    """

    def __init__(
        self,
        model: ComposedModel,
        soft: SoftTokenStore,
        hand_on: Callable[[Job, Prompt], None],
    ) -> None:
        self.model, self.soft, self.hand_on = model, soft, hand_on
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="preparer")
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._jobs.put(job)

    @property
    def num_waiting(self) -> int:
        """Number of jobs that wait to be read."""
        return self._jobs.qsize()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread, after the prompt at work."""
        self._is_closed = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._is_closed:
                job.fail(EngineClosedError())
            if not job.is_alive:
                continue
            try:
                prompt = self._prompt(job)
            except Exception as error:
                job.fail(OutOfMemoryError() if is_out_of_memory(error) else error)
            else:
                self.hand_on(job, prompt)

    def _prompt(self, job: Job) -> Prompt:
        """A job's prompt; where memory runs out it is tried once more."""
        try:
            return self._embed(job)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self.soft.clear()
        free_memory()
        return self._embed(job)

    @torch.inference_mode()
    def _embed(self, job: Job) -> Prompt:
        model = self.model
        if job.request.completes:
            ids = model.language.encode_text(job.request.conversation)
            if not ids:
                raise ValueError("the prompt is empty; give a text to go on with")
            return Prompt(model.language.embed(ids), list(ids))
        prompt = model.prompts.build(job.messages, reply=True, tools=job.request.tools)
        batch = pack([prompt.ids], [prompt.labels])
        items = prompt.media
        soft = self.soft.find(key for item in items for key in (item.key, state_key(item)))
        embeds = model.embed([prompt], batch.ids.to(model.device), batch.places, soft)
        embedded = embedded_prompt(model, prompt, embeds[0, : len(prompt.ids)], soft)
        self.soft.put(soft)
        return embedded
