"""Models of a server: loaded at its start or on first use, unloaded where memory runs short."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

from anymodal.serving.errors import EngineClosedError, ModelFaultError, OutOfMemoryError
from anymodal.serving.memory import free_bytes, free_memory, is_out_of_memory
from anymodal.serving.model_source import ModelSource
from anymodal.serving.served import ModelFacts, ServedModel

_LOG = logging.getLogger("anymodal.serving")


class _Slot:
    """A model's place in a pool.

    Attributes:
        served: the model, while it is loaded.
        source: where it comes from; None for one that was given loaded, which stays.
        users: how many requests use it.
        last_use: its place among all uses of the pool's models; 0 before the first.
        size: bytes of its weights, as far as they are known.
    """

    def __init__(self, model: ServedModel | ModelSource) -> None:
        self.source = model if isinstance(model, ModelSource) else None
        self.served = model if isinstance(model, ServedModel) else model.take()
        self.facts: ModelFacts = model.facts
        self.users = self.last_use = 0
        self.size = self.source.num_bytes if self.source is not None else 0
        if self.source is not None and self.served is not None:  # files tell not of all
            self.size = max(self.size, self.served.num_bytes)


class ModelPool:
    """Lends models to requests.

    A model that isn't loaded is loaded when it is asked for. Before that, models that nobody uses
    are unloaded, the least recently used first, until there is room: as much memory as the model's
    weights take. A request that finds no memory for itself makes them go, too.

    Args:
        models: loaded ones, which stay, and sources of others.
        memory: bytes for the weights of all models that are loaded here; None for what is free on
            the device.

    Raises:
        ValueError: for two models of one name.
    """

    def __init__(
        self, models: Sequence[ServedModel | ModelSource], memory: int | None = None
    ) -> None:
        self._slots = {model.facts.name: _Slot(model) for model in models}
        if len(self._slots) < len(models):
            raise ValueError("two models have one name; give one of them another: NAME=MODEL")
        self.memory = memory
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loading = asyncio.Lock()  # one at a time, since each decides by what is free

    @property
    def facts(self) -> Mapping[str, ModelFacts]:
        """Facts about each model, whether or not it is loaded, in the order that was given."""
        return {name: slot.facts for name, slot in self._slots.items()}

    def loaded(self) -> Iterator[ServedModel]:
        """The models that are loaded."""
        yield from [slot.served for slot in self._slots.values() if slot.served is not None]

    def put(self, served: ServedModel) -> None:
        """Add a loaded model, which stays, or put it in the place of the one of its name; requests
        that use that one go on with it.
        """
        slot = self._slots.setdefault(served.name, _Slot(served))  # its users release it by name
        slot.served, slot.facts = served, served.facts

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[ServedModel]:
        """A model, which stays loaded within the block.

        Raises:
            OutOfMemoryError: if there is no memory for it.
        """
        served = await self.acquire(name)
        try:
            yield served
        finally:
            self.release(name)

    async def acquire(self, name: str) -> ServedModel:
        """A model, loaded; `release` it in the end.

        Raises:
            OutOfMemoryError: if there is no memory for it.
            EngineClosedError: if the pool was closed.
            ModelFaultError: if it can't be loaded.
        """
        slot = self._slots[name]
        slot.users += 1  # at once, so that it isn't unloaded meanwhile
        try:
            if slot.served is None:
                async with self._loading:
                    if slot.served is None:  # who waited before may have loaded it
                        await self._load(slot)
            assert slot.served is not None
        except BaseException:
            slot.users -= 1
            raise
        slot.last_use = max(each.last_use for each in self._slots.values()) + 1
        self._loop = asyncio.get_running_loop()
        if slot.served.engine is not None:
            slot.served.engine.on_out_of_memory = self._relieve
        return slot.served

    def release(self, name: str) -> None:
        """Give a model back."""
        self._slots[name].users -= 1

    def close(self) -> None:
        """End what is under way, and all models."""
        self._is_closed = True
        for served in self.loaded():
            served.close()

    async def _load(self, slot: _Slot) -> None:
        source = slot.source
        assert source is not None, "what was given loaded stays"
        if self._is_closed:
            raise EngineClosedError
        while self._free() < slot.size and await self._unload_one():
            pass
        if self._free() < slot.size and any(
            each.users and each.served for each in self._slots.values()
        ):
            raise OutOfMemoryError  # those are done soon; else it is tried all the same
        while True:
            try:
                slot.served = await asyncio.to_thread(source.open)
                break
            except Exception as error:
                if not is_out_of_memory(error):
                    # Its text may hold a path; the cause goes into the log.
                    raise ModelFaultError("the model can't be loaded") from error
            # Out here, where the error's traceback holds nothing any more.
            await asyncio.to_thread(free_memory)
            if not await self._unload_one():
                raise OutOfMemoryError
        slot.size = max(slot.size, slot.served.num_bytes)
        _LOG.info("loaded %s", slot.facts.name)
        if self._is_closed:  # meanwhile
            slot.served.close()
            raise EngineClosedError

    def _relieve(self) -> None:
        """Unload what nobody uses, after a model in use found no memory; from any thread."""
        if self._loop is not None and not self._is_closed:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                asyncio.run_coroutine_threadsafe(self._unload_idle(), self._loop)

    async def _unload_idle(self) -> None:
        async with self._loading:
            while await self._unload_one():
                pass

    async def _unload_one(self) -> bool:
        """Unload the model that was used least recently, of those that nobody uses."""
        for slot in sorted(self._slots.values(), key=lambda each: each.last_use):
            served = slot.served
            if served is not None and slot.source is not None and not slot.users:
                slot.served = None
                await asyncio.to_thread(served.close)
                del served
                await asyncio.to_thread(free_memory)
                _LOG.info("unloaded %s", slot.facts.name)
                return True
        return False

    def _free(self) -> float:
        if self.memory is None:
            devices = {slot.source.device for slot in self._slots.values() if slot.source}
            return min(map(free_bytes, devices), default=float("inf"))
        loaded = (slot.size for slot in self._slots.values() if slot.served and slot.source)
        return self.memory - sum(loaded)
