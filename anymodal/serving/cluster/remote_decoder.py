"""Media of a language model's replies, made by decoder replicas."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import replace

from anymodal.chat.orders import Order
from anymodal.serving.cluster.calls import (
    MOST_ATTEMPTS,
    DecoderCall,
    ReplicaLostError,
    read_while,
    wait_before,
)
from anymodal.serving.errors import EngineClosedError, ModelFaultError
from anymodal.serving.media_worker import MediaTask
from anymodal.types import MediumProgress, MediumReady

_LOG = logging.getLogger("anymodal.serving")


class RemoteDecoder:
    """Has the media of one modality made elsewhere. One whose replica is lost is made by another.

    Args:
        modality: its name.
        call: asks a replica.
        loop: where calls run.
    """

    def __init__(self, modality: str, call: DecoderCall, loop: asyncio.AbstractEventLoop) -> None:
        self.modality, self._call, self._loop = modality, call, loop
        self._is_closed = False

    @property
    def num_waiting(self) -> int:
        """0: media wait at the replicas."""
        return 0

    def submit(self, task: MediaTask) -> None:
        """Ask for a medium, from any thread."""
        asyncio.run_coroutine_threadsafe(self._make(task), self._loop)

    def close(self) -> None:
        """End what is under way, each with an error, as soon as the loop comes to it."""
        self._is_closed = True

    async def _make(self, task: MediaTask) -> None:
        job, order = task.job, _on_cpu(task.order)
        step = 0
        try:
            for attempt in range(MOST_ATTEMPTS):
                await wait_before(attempt)
                try:
                    step = await self._pass_on(task, order, step)
                    break
                except ReplicaLostError as error:
                    _LOG.warning("%s is begun again: %s", self.modality, error)
            else:
                job.fail(ModelFaultError("the replicas that made this medium were lost"))
        except Exception as error:
            job.fail(error)

    async def _pass_on(self, task: MediaTask, order: Order, step: int) -> int:
        """Pass on what a replica tells behind a step; the last step that was passed on.

        Raises:
            ReplicaLostError: if the replica ended before the medium came.
        """
        job = task.job

        def is_wanted() -> bool:
            return not self._is_closed and job.is_alive

        items = self._call(order, job.media_settings[self.modality])
        async with aclosing(read_while(items, is_wanted)) as wanted_items:
            async for item in wanted_items:
                if isinstance(item, MediumProgress):
                    if item.step > step:
                        step = item.step
                        job.emit(item)
                elif isinstance(item, MediumReady):
                    job.finish_medium(order.index, self.modality, item.media)
                    return step
                elif isinstance(item, EngineClosedError):
                    raise ReplicaLostError("it was closed")
                else:
                    assert isinstance(item, Exception), "there are no other items"
                    job.fail(item)
                    return step
        if is_wanted():
            raise ReplicaLostError("it ended without a medium")
        if self._is_closed:
            job.fail(EngineClosedError())
        return step


def _on_cpu(order: Order) -> Order:
    """An order that another process can read, whatever devices it has."""
    asked, away, neither = (
        None if each is None else each.cast(each.embeds.dtype, "cpu")
        for each in (order.conditioning, order.negative, order.neither)
    )
    assert asked is not None, "an order has one"
    return replace(order, conditioning=asked, negative=away, neither=neither)
