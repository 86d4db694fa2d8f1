"""A replica that makes media of one modality, for language models in other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any, cast

from anymodal import composition
from anymodal.chat.orders import Order
from anymodal.chat.references import PendingReference
from anymodal.composition import placement
from anymodal.decoders.references import Reference
from anymodal.media import Media
from anymodal.model import AnyModal
from anymodal.serving.admission import EngineSettings
from anymodal.serving.cluster.stored_media import GetMedium, PutMedium, StoredMedium
from anymodal.serving.media_worker import MediaTask, MediaWorker
from anymodal.serving.model_source import ModelSource
from anymodal.types import Event, MediumReady


class DecoderReplica:
    """Makes media of one modality.

    Args:
        source: of the model. Only this decoder's weights are read.
        modality: its name.
        put: hands each medium to the object store.
        get: gets media of the same reply, which another one is made from, from there.
    """

    def __init__(self, source: ModelSource, modality: str, put: PutMedium, get: GetMedium) -> None:
        self.modality, self.put, self.get = modality, put, get
        settings = source.settings or EngineSettings()
        self.worker = MediaWorker(
            open_decoder_of(source, modality), modality, settings.media_batch_size
        )

    async def make(
        self, order: Order, settings: Mapping[str, Any]
    ) -> AsyncGenerator[Event | Exception]:
        """Make a medium, with others that wait and have equal settings.

        Yields:
            `MediumProgress`, then `MediumReady` of a `StoredMedium`, or an error in its place.
        """
        client = _RemoteClient(self.modality, settings)
        references = [await self._with_medium(each) for each in order.references]
        self.worker.submit(MediaTask(client, replace(order, references=tuple(references))))
        try:
            while True:
                item = await client.items.get()
                if isinstance(item, MediumReady):
                    medium = StoredMedium(item.index, self.put(item.media))
                    item = MediumReady(item.index, item.modality, cast(Media, medium))
                yield item
                if isinstance(item, MediumReady | Exception):
                    return
        finally:
            client.is_alive = False

    async def _with_medium(self, reference: Reference | PendingReference) -> Reference:
        """A reference with the medium itself, where the object store has it."""
        assert isinstance(reference, Reference), "an order waits for what it is made from"
        stored: object = reference.media
        if not isinstance(stored, StoredMedium):
            return reference
        return replace(reference, media=await self.get(stored.reference))

    def check_health(self) -> None:
        """Make sure that media are made.

        Raises:
            EngineClosedError: if they aren't any more.
        """
        self.worker.check_health()

    def close(self) -> None:
        """End what is under way."""
        self.worker.close()


class _RemoteClient:
    """Carries what a `MediaWorker` tells from its thread to the event loop of a call."""

    def __init__(self, modality: str, settings: Mapping[str, Any]) -> None:
        self.media_settings = {modality: settings}
        self.items: asyncio.Queue[Event | Exception] = asyncio.Queue()
        self.is_alive = True
        self._loop = asyncio.get_running_loop()

    def emit(self, event: Event) -> None:
        self._loop.call_soon_threadsafe(self.items.put_nowait, event)

    def finish_medium(self, index: int, modality: str, medium: Media) -> None:
        self.emit(MediumReady(index, modality, medium))

    def fail(self, error: Exception) -> None:
        self._loop.call_soon_threadsafe(self.items.put_nowait, error)


def open_decoder_of(source: ModelSource, modality: str) -> AnyModal:
    """The model of a source with one decoder alone, where the source says that it computes."""
    model = composition.open_one_decoder(
        AnyModal, source.path, modality, tuple(source.trusted_packages)
    )
    devices = placement.parse_devices(source.device, None)
    places = {f"decoders.{modality}": devices[""]}
    placement.place(model, placement.parse_dtypes(source.dtype), places)
    model.name, model.provenance = source.name, source.provenance
    return model
