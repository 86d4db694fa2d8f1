"""State and helpers that the endpoints of a server share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from starlette.requests import ClientDisconnect, Request

from anymodal.chat.messages import MAX_MEDIA
from anymodal.chat.named_references import resolve_numbers
from anymodal.chat.settings import MediaSettings
from anymodal.config import ranges
from anymodal.io.message_parts import PartReader
from anymodal.serving.api.conversation import ConversationReader
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.fields import told_by_fields
from anymodal.serving.api.job_runner import JobResult, JobRunner, Report
from anymodal.serving.api.job_store import BackgroundJob
from anymodal.serving.api.metrics import Metrics
from anymodal.serving.api.remote import RemoteMedia
from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.model_source import ModelSource
from anymodal.serving.pool import ModelPool
from anymodal.serving.requests import ReplyRequest, ReplyStream
from anymodal.serving.served import ModelFacts, ServedModel
from anymodal.types import Message

if TYPE_CHECKING:
    from anymodal.serving.api.schemas import Body, MediaBody
    from anymodal.serving.engine import ReplyEngine

T = TypeVar("T")
MOST_INPUTS = 2048
OWNER, LEASES = "anymodal.owner", "anymodal.leases"
"""Keys of a request's scope: whose it is, and what is called when it has its whole answer."""


class ServerState:
    """Models, settings and metrics of a server.

    Args:
        models: what it serves; names are different.
        settings: what it allows.

    Raises:
        ValueError: for two models of one name.
    """

    def __init__(
        self, models: Sequence[ServedModel | ModelSource], settings: ServerSettings
    ) -> None:
        self.pool = ModelPool(models, settings.model_memory)
        self.settings, self.metrics = settings, Metrics(self.pool.loaded)
        remote = RemoteMedia(settings.allowed_hosts, settings.limits, settings.fetch_seconds)
        self.reader = ConversationReader(PartReader(settings.limits, files=False), remote)
        self._jobs: JobRunner | None = None
        self.closing = False

    def find(self, name: str) -> ModelFacts:
        """Facts about a model by its name.

        Raises:
            ApiError: if there is none.
        """
        facts = self.pool.facts
        if name not in facts:
            names = ", ".join(facts)
            text = f"there is no model {name[:80]!r}; there are: {names}"
            raise ApiError(404, text, param="model", code="model_not_found")
        return facts[name]

    async def open(self, request: Request, name: str) -> ServedModel:
        """A model by its name, loaded; it stays so until the request has its whole answer.

        Raises:
            ApiError: if there is none.
            OutOfMemoryError: if there is no memory for it.
        """
        self.find(name)
        served = await self.pool.acquire(name)
        request.scope[LEASES].append(partial(self.pool.release, name))
        return served

    async def engine(self, request: Request, name: str) -> tuple[ServedModel, ReplyEngine]:
        """A model that replies, and its engine, as `open` gives it.

        Raises:
            ApiError: if there is none of this name, or it only embeds.
            OutOfMemoryError: if there is no memory for it.
        """
        if not self.find(name).replies:
            text = f"the model {name!r} only embeds; ask /v1/embeddings"
            raise ApiError(400, text, param="model")
        served = await self.open(request, name)
        assert served.engine is not None, "of one that replies"
        return served, served.engine

    def choices(self, n: int | None) -> int:
        """The number of answers to a request, checked.

        Raises:
            ApiError: if they are too many.
        """
        if n is not None and n > self.settings.max_choices:
            raise ApiError(400, f"n={n}; the limit is {self.settings.max_choices}", param="n")
        return n or 1

    @property
    def jobs(self) -> JobRunner:
        """The jobs of the server, which run from its start to its end."""
        assert self._jobs is not None, "the server hasn't started"
        return self._jobs

    async def start(
        self, work: Callable[[ServerState, BackgroundJob, Report], Awaitable[JobResult]]
    ) -> None:
        """Begin with jobs, also those that an earlier server left; `work` does one."""
        settings = self.settings
        self._jobs = await asyncio.to_thread(
            JobRunner, settings.data_folder, settings.job_seconds, settings.jobs_at_once,
            partial(work, self),
        )  # fmt: skip
        await self._jobs.start()

    async def stop(self) -> None:
        """End all that is under way."""
        self.closing = True
        await self.jobs.close()
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End the models."""
        self.closing = True
        self.pool.close()


def state_of(request: Request) -> ServerState:
    """The state of the server that a request came to."""
    state: ServerState = request.app.state.server
    return state


def owner_of(request: Request) -> str:
    """An id of the client by its API key; all are one where there are no keys."""
    owner: str = request.scope[OWNER]
    return owner


def media_settings(
    body: MediaBody, served: ServedModel, modality: str | None = None
) -> dict[str, dict[str, Any]]:
    """Settings of media by modality: those for all, for the decoders that take them, and over them
    those for one, by the modality's name or its kind of media.

    Args:
        body: of a request.
        served: who answers it.
        modality: the only one that is made; None where the reply chooses.

    Raises:
        ApiError: if no decoder takes a setting.
    """
    model = served.model
    assert model is not None, "only a model that replies is asked"
    by_modality: dict[str, dict[str, Any]] = {}
    for name, value in body.media_settings().items():
        if modality is not None:
            takers = [modality]
        elif name in ranges.MEDIA_SETTINGS and model.decoders:
            takers = [*model.decoders]  # all take it, and each tells whether the value fits
        else:
            with told_by_fields(body):
                takers = model.modalities_with(cast(MediaSettings, {name: value}))
        for taker in takers:
            by_modality.setdefault(taker, {})[name] = value
    for kind, settings in (body.sampling or {}).items():
        name = served.makers.get(kind, kind)
        by_modality[name] = {**by_modality.get(name, {}), **settings}
    return by_modality


def media_references(body: MediaBody, served: ServedModel) -> dict[str, int | list[int]]:
    """Places of references by modality, which a request may name by its kind of media."""
    references = body.references or {}
    return {served.makers.get(kind, kind): value for kind, value in references.items()}


def shown_references(
    body: MediaBody, served: ServedModel, read: Sequence[Message], shown: Sequence[Message]
) -> Mapping[str, object]:
    """References of a request whose model may be shown the end of its conversation alone.

    Args:
        body: of the request.
        served: who answers it.
        read: the whole conversation, in which numbers count.
        shown: what the model is shown of it.

    Raises:
        ApiError: there is no medium of a number.
    """
    references = media_references(body, served)
    if shown is read:
        return references
    assert served.model is not None, "only a model that replies is asked"
    with told_by_fields(body):
        return resolve_numbers(references, read, served.model.spoken_media)


async def all_of(
    streams: Sequence[ReplyStream], works: Iterable[Coroutine[Any, Any, T]]
) -> list[T]:
    """The results of works that read streams. If one fails, the others end; streams are closed."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        # Their ends are awaited, so that no task reads a stream while it is closed.
        await asyncio.gather(*tasks, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


async def submit_all(
    engine: ReplyEngine, requests: Sequence[ReplyRequest], body: Body
) -> list[ReplyStream]:
    """Submit the requests of a body, or none of them if one is refused.

    Raises:
        ApiError: if they are more than the engine ever has under way, or a field doesn't fit.
    """
    limit = engine.settings.max_requests
    if len(requests) > limit:  # else they would be told to come back, for ever
        text = f"{len(requests)} replies to one request; this server writes {limit} at once"
        raise ApiError(400, text, param="n")
    streams: list[ReplyStream] = []
    try:
        with told_by_fields(body):
            for each in requests:
                streams.append(await engine.submit(each))
    except BaseException:  # a cancelled task's too: else replies that nobody reads would be written
        for stream in streams:
            await stream.aclose()
        raise
    return streams


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result of some work, which is cancelled when the client leaves.

    Raises:
        ClientDisconnect: if it leaves.
    """
    task = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(wait_for_disconnect(request))
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        for each in (task, disconnect):
            each.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.gather(task, disconnect, return_exceptions=True)


async def wait_for_disconnect(request: Request) -> None:
    """Wait until the client of a request leaves, or has its whole answer."""
    # The body has been read by now, so nothing is lost.
    while (await request.receive())["type"] != "http.disconnect":
        pass


def check_count(items: Sequence[Any], param: str, label: str, most: int) -> None:
    """Refuse an empty list, or one of too many items.

    Raises:
        ApiError: for either.
    """
    if not items:
        raise ApiError(400, f"there are no {label}; give at least one", param=param)
    if len(items) > most:
        raise ApiError(400, f"{len(items)} {label}; the limit is {most}", param=param)


def check_media(items: Sequence[Any], param: str) -> None:
    """Refuse more media than a request may have, before any is decoded.

    Raises:
        ApiError: if there are too many.
    """
    count = sum(not isinstance(item, str) for item in items)
    if count > MAX_MEDIA:
        raise ApiError(400, f"{count} media in one request; the limit is {MAX_MEDIA}", param=param)
