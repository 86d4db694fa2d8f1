"""A replica that writes replies and embeds, with the model's media made by other replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from torch import Tensor

from anymodal import composition
from anymodal.media import Media
from anymodal.model import AnyModal
from anymodal.serving.admission import EngineSettings
from anymodal.serving.cluster.calls import DecoderCall
from anymodal.serving.cluster.remote_decoder import RemoteDecoder
from anymodal.serving.engine import Engine
from anymodal.serving.model_source import ModelSource
from anymodal.serving.requests import ReplyRequest
from anymodal.serving.served import ModelFacts, ServedModel
from anymodal.types import Event

EVENT_SECONDS = 0.05
"""Between two items of a reply: what comes meanwhile goes together, since each item costs about a
millisecond on either side, whatever is in it."""
_ANY_NUMBER = 100_000
"""Requests under way here are counted by who lets them in."""


class LanguageReplica:
    """Writes replies, in one running batch.

    Args:
        source: of the model. A composed one's decoders stay on disk.
        decoders: ask decoder replicas, by modality.
        loop: where they are asked.
    """

    def __init__(
        self,
        source: ModelSource,
        decoders: Mapping[str, DecoderCall],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        if source.folder is None:
            self.served = source.open()
            return
        settings = replace(
            source.settings or EngineSettings(), max_requests=_ANY_NUMBER, content_filter=None
        )

        def make_worker(name: str) -> RemoteDecoder:
            return RemoteDecoder(name, decoders[name], loop)

        model = AnyModal.from_pretrained(
            source.path,
            trusted_packages=tuple(source.trusted_packages),
            dtype=source.dtype,
            device=source.device,
            build_part=composition.OpenOnFirstUse(source.path),
        )
        engine = Engine(model, settings, make_worker)
        self.served = ServedModel(source.name, model, None, settings, engine)

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Sequence[Event | Exception]]:
        """Answer a request whose settings were checked.

        Yields:
            What has come: events, or an error as the last. Media are `StoredMedium`, in the final
            message too.
        """
        engine = self.served.engine
        assert engine is not None, "of a model that replies"
        try:
            async with aclosing(await engine.submit(request)) as stream:
                while events := await stream.next_events():
                    yield events
                    await asyncio.sleep(EVENT_SECONDS)
        except Exception as error:  # a value, since a call's own errors are those of the cluster
            yield [error]

    def embed(self, items: Sequence[str | Media]) -> list[Tensor]:
        """See `ServedModel.embed`."""
        return self.served.embed(items)

    def facts(self) -> ModelFacts:
        """Facts about the model."""
        return self.served.facts

    def check_health(self) -> None:
        """Make sure that replies are written.

        Raises:
            EngineClosedError: if they aren't any more.
        """
        if isinstance(self.served.engine, Engine):
            self.served.engine.check_health()

    def close(self) -> None:
        """End what is under way."""
        self.served.close()
