"""A model whose replicas are elsewhere: requests are let in here and answered there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from torch import Tensor

from anymodal.media import Media
from anymodal.model import AnyModal
from anymodal.serving.admission import Admission, EngineSettings
from anymodal.serving.cluster.calls import (
    MOST_ATTEMPTS,
    LanguageCall,
    ReplicaLostError,
    read_while,
    wait_before,
)
from anymodal.serving.cluster.replay import Replay
from anymodal.serving.cluster.stickiness import conversation_key
from anymodal.serving.cluster.stored_media import GetMedium, StoredMedium
from anymodal.serving.errors import EngineClosedError, ModelFaultError
from anymodal.serving.job import JobSettings
from anymodal.serving.requests import Channel, Mailbox, ReplyEnd, ReplyRequest, ReplyStream
from anymodal.serving.served import ModelFacts, ServedModel
from anymodal.types import Done, Event, MediumReady, Message, ToolCall

_LOG = logging.getLogger("anymodal.serving")

EmbedCall = Callable[[Sequence[str | Media]], list[Tensor]]
"""Asks a replica for embeddings."""


class RemoteEngine:
    """Answers requests by language-model replicas; a reply whose replica is lost is written on by
    another one. Of the model it needs no weights.

    Args:
        model: what is asked.
        settings: limits.
        call: asks a replica.
        get: gets media from the object store.
    """

    def __init__(
        self, model: AnyModal, settings: EngineSettings, call: LanguageCall, get: GetMedium
    ) -> None:
        self.model, self.settings = model, settings
        self.admission = Admission(model, settings)
        self._call, self._get = call, get
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_out_of_memory: Callable[[], None] | None = None

    @property
    def requests(self) -> int:
        """Number of requests under way."""
        return self.admission.requests

    @property
    def writing(self) -> int:
        """Number of requests that replicas were asked."""
        return len(self._tasks)

    @property
    def waiting(self) -> Mapping[str, int]:
        """Empty: requests wait at the replicas, and Ray's own metrics count them."""
        return {}

    def check(self, request: ReplyRequest) -> JobSettings:
        """The settings of a request, checked.

        Raises:
            ValueError: for settings that don't fit the model.
        """
        return self.admission.check(request)

    async def submit(self, request: ReplyRequest) -> ReplyStream:
        """Begin to answer a request, see `Engine.submit`."""
        settings, messages = await self.admission.enter(request)
        try:
            key = await asyncio.to_thread(conversation_key, request, messages)
        except BaseException:
            self.admission.leave()
            raise
        conversation = request.conversation if request.completes else list(messages)
        # With the seed that was drawn, so that another replica would write the same.
        request = replace(
            request, conversation=conversation, seed=settings.seed, timeout=settings.timeout
        )
        channel = Channel(Mailbox(asyncio.get_running_loop()))
        task = asyncio.create_task(self._answer(request, key, channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ReplyStream(channel, settings.timeout, self.settings.content_filter)

    def close(self) -> None:
        """Let nobody in any more."""
        self.admission.close()

    async def _answer(self, request: ReplyRequest, key: str, channel: Channel) -> None:
        replay = Replay()
        end: ReplyEnd | Exception | None = None
        try:
            for attempt in range(MOST_ATTEMPTS):
                await wait_before(attempt)
                try:
                    end = await self._pass_on(request, key, channel, replay)
                    break
                except ReplicaLostError as error:
                    _LOG.warning("a reply is begun again: %s", error)
            else:
                end = ModelFaultError("the replicas that wrote this reply were lost")
        except Exception as error:
            end = error
        finally:
            self.admission.leave()  # before the end: who has the reply may ask for the next one
        if end is not None:
            channel.put(end)

    async def _pass_on(
        self, request: ReplyRequest, key: str, channel: Channel, replay: Replay
    ) -> ReplyEnd | Exception | None:
        """Pass on what is new of one telling of a reply; its end, None if nobody waits for it.

        Raises:
            ReplicaLostError: if the replica ended before the reply.
        """

        def is_wanted() -> bool:
            return not channel.cancelled.is_set()

        replay.begin()
        media: dict[int, Media] = {}
        async with aclosing(read_while(self._call(request, key), is_wanted)) as batches:
            async for events in batches:
                for event in events:
                    if isinstance(event, EngineClosedError):
                        raise ReplicaLostError("it was closed")
                    if isinstance(event, Exception):
                        return event
                    if isinstance(event, Done):
                        return _end_of(event.message, media, replay)
                    event = await self._with_medium(event, media)
                    if replay.is_new(event):
                        channel.put(event)
        if is_wanted():
            raise ReplicaLostError("it ended without an end of the reply")
        return None

    async def _with_medium(self, event: Event, media: dict[int, Media]) -> Event:
        """An event with the medium itself, which is kept for the final message."""
        if not isinstance(event, MediumReady):
            return event
        stored: object = event.media
        assert isinstance(stored, StoredMedium), "decoder replicas give nothing else"
        medium = await self._get(stored.reference)
        if medium.provenance is not None:  # the key that signs isn't sent along
            medium.provenance = replace(medium.provenance, signer=self.model.signer)
        media[event.index] = medium
        return MediumReady(event.index, event.modality, medium)


def _end_of(message: Message, media: dict[int, Media], replay: Replay) -> ReplyEnd:
    """The end of a reply, with the media themselves and the calls of tools that were passed on."""
    calls = iter(replay.calls)
    content: list[object] = []
    for part in cast(list[object], message.content):
        if isinstance(part, StoredMedium):
            content.append(media[part.index])
        else:
            content.append(next(calls) if isinstance(part, ToolCall) else part)
    assert message.finish_reason is not None and message.usage is not None, "a reply has both"
    whole = Message(
        message.role,
        content,
        finish_reason=message.finish_reason,
        usage=message.usage,
        choices=message.choices,
    )
    return ReplyEnd(whole, message.finish_reason, message.usage)


class RemoteServedModel(ServedModel):
    """A model of a server, whose replicas are elsewhere.

    Args:
        facts: about it.
        model: without weights; None for encoders alone.
        settings: limits.
        engine: answers requests; None for encoders alone.
        embed: asks for embeddings.
    """

    embedding_threads = 8  # which wait for replicas

    def __init__(
        self,
        facts: ModelFacts,
        model: AnyModal | None,
        settings: EngineSettings | None,
        engine: RemoteEngine | None,
        embed: EmbedCall,
    ) -> None:
        super().__init__(facts.name, model, {}, settings, engine)
        self.facts, self._embed = facts, embed

    def embed(self, items: Sequence[str | Media]) -> list[Tensor]:
        """One embedding (E,) an item.

        Raises:
            ValueError: if no encoder reads an item.
        """
        return self._embed(items)
