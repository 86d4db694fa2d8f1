"""The engine: many requests at once over one model, without a word of HTTP.

Requests pass three stages, each with threads of its own: prompts are laid out and their media
encoded; texts are written in one running batch; media are made, in a batch for each decoder and
settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from anymodal.chat.references import ReplyReferences
from anymodal.chat.settings import TextSettings
from anymodal.decoders.speech.base import ALL, PASSAGES
from anymodal.decoders.speech.sentences import is_speakable
from anymodal.serving.admission import Admission
from anymodal.serving.admission import EngineSettings as EngineSettings
from anymodal.serving.errors import EngineClosedError, OutOfMemoryError
from anymodal.serving.job import Job, JobSettings
from anymodal.serving.media_worker import MediaTask, MediaWorker
from anymodal.serving.prefix_store import PrefixStore, SoftTokenStore
from anymodal.serving.preparer import Preparer
from anymodal.serving.requests import Channel, Mailbox, ReplyRequest, ReplyStream
from anymodal.serving.speech_worker import SpeechWorker
from anymodal.serving.text_worker import TextWorker
from anymodal.types import TokenUsage

if TYPE_CHECKING:
    from anymodal.core import ComposedModel


class ReplyEngine(Protocol):
    """Answers requests: an `Engine`, or one whose parts are elsewhere.

    Attributes:
        settings: limits.
        on_out_of_memory: called, in any thread, when a request ended for want of memory.
    """

    settings: EngineSettings
    on_out_of_memory: Callable[[], None] | None

    @property
    def requests(self) -> int:
        """Number of requests under way."""

    @property
    def writing(self) -> int:
        """Number of replies whose text is being written."""

    def check(self, request: ReplyRequest) -> JobSettings:
        """The settings of a request, checked.

        Raises:
            ValueError: for settings that don't fit the model.
        """

    @property
    def waiting(self) -> Mapping[str, int]:
        """Number of requests that wait, by the stage that they wait for."""

    async def submit(self, request: ReplyRequest) -> ReplyStream:
        """Begin to answer a request, see `Engine.submit`."""

    def close(self) -> None:
        """End what is under way."""


class MediaMaker(Protocol):
    """Makes the media of one modality: a `MediaWorker`, or one whose decoder is elsewhere."""

    @property
    def num_waiting(self) -> int:
        """Number of media that wait here."""

    def submit(self, task: MediaTask) -> None:
        """Queue a medium."""

    def close(self) -> None:
        """End what is under way."""


class Engine:
    """Answers many requests at once.

    Every reply is the one that `AnyModal.stream` gives at its seed: greedy text is the same,
    scores differ by the rounding of another batch, and a medium doesn't depend on its company.

    Args:
        model: who answers.
        settings: limits.
        make_worker: makes who makes the media of a modality; a `MediaWorker` each where None.

    Attributes:
        on_out_of_memory: called, in any thread, when a request ended for want of memory.
    """

    def __init__(
        self,
        model: ComposedModel,
        settings: EngineSettings | None = None,
        make_worker: Callable[[str], MediaMaker] | None = None,
    ) -> None:
        self.model, self.settings = model, settings or EngineSettings()
        self.admission = Admission(model, self.settings)
        self._prefixes = PrefixStore(model.language, self.settings.prefix_bytes)
        self._soft = SoftTokenStore(self.settings.soft_token_bytes)
        make_worker = make_worker or self._media_worker
        self._media = {name: make_worker(name) for name in model.decoders}
        self._text = TextWorker(model, self._prefixes, self.settings.batch_size, self._order_medium)
        self._preparer = Preparer(model, self._soft, self._text.submit)
        self._speech = SpeechWorker(model) if len(model.speakers) else None
        self._box: Mailbox | None = None
        self.on_out_of_memory: Callable[[], None] | None = None

    @property
    def requests(self) -> int:
        """Number of requests under way."""
        return self.admission.requests

    @property
    def writing(self) -> int:
        """Number of replies whose text is being written."""
        return self._text.num_replies

    @property
    def waiting(self) -> Mapping[str, int]:
        """Number of waiting requests by stage: `prompt`, `text` and each modality that is made."""
        made = {name: maker.num_waiting for name, maker in self._media.items()}
        if self._speech is not None:
            made["speech"] = self._speech.num_waiting
        return {"prompt": self._preparer.num_waiting, "text": self._text.num_waiting, **made}

    async def submit(self, request: ReplyRequest) -> ReplyStream:
        """Begin to answer a request.

        Returns:
            The events of the reply; closing it cancels the request at its next step.

        Raises:
            ContentFilterError: if something may not pass the operator's filter.
            QueueFullError: if too many requests are under way.
            EngineClosedError: if the engine was closed.
            FileNotFoundError: if the conversation names a file that isn't there.
            ValueError: for a conversation or settings that don't fit the model.
        """
        settings, messages = await self.admission.enter(request)
        try:
            references = ReplyReferences(
                self.model,
                messages,
                request.references,
                points=not request.forced,
                settings=settings.media,
            )
        except BaseException:
            self.admission.leave()
            raise
        channel = Channel(self._mailbox())
        job = Job(request, messages, settings, channel, self._end, references)
        if self._speech is not None:
            job.order_speech = self._speech.submit
        self._preparer.submit(job)
        return ReplyStream(channel, settings.timeout, self.settings.content_filter)

    async def speak(
        self,
        text: str,
        modality: str,
        settings: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> ReplyStream:
        """Begin to speak a text as it stands, which the language model doesn't read.

        Args:
            text: to say.
            modality: whose speaker says it.
            settings: of `Speaker.speak`, over the modality's own.
            seed: of what is drawn; None draws one.

        Returns:
            The events of a reply that is this text, and spoken as a whole.

        Raises:
            ContentFilterError: if something may not pass the operator's filter.
            QueueFullError: if too many requests are under way.
            EngineClosedError: if the engine was closed.
            ValueError: for settings that don't fit, or a text without words.
        """
        if self._speech is None or modality not in self.model.speakers:
            names = ", ".join(self.model.speakers) or "nobody"
            raise ValueError(f"this model has no speaker {modality!r}; it has {names}")
        if not is_speakable(text):
            raise ValueError(f"there is nothing to say in {text[:40]!r}; give words")
        sampling = {modality: {**(settings or {}), PASSAGES: ALL}}
        only: TextSettings = {"modalities": [modality]}
        request = ReplyRequest(text, completes=True, seed=seed, sampling=sampling, text=only)
        checked = await self.admission.enter_speech(request)
        channel, references = Channel(self._mailbox()), ReplyReferences(self.model, [])
        job = Job(request, [], checked, channel, self._end, references)
        job.order_speech = self._speech.submit
        job.write(text)
        job.finish_text("stop", TokenUsage())
        return ReplyStream(channel, checked.timeout, self.settings.content_filter)

    def close(self) -> None:
        """End what is under way, each request with an error, and the engine's threads."""
        if not self.admission.close():
            return
        # In the order of the stages, so that none hands on to one that has ended.
        self._preparer.close()
        self._text.close()
        for worker in self._media.values():
            worker.close()
        if self._speech is not None:
            self._speech.close()

    def _mailbox(self) -> Mailbox:
        loop = asyncio.get_running_loop()
        # A queue belongs to one event loop; tests and notebooks start several.
        if self._box is None or self._box.loop is not loop:
            self._box = Mailbox(loop)
        return self._box

    def check(self, request: ReplyRequest) -> JobSettings:
        """The settings of a request, checked.

        Raises:
            ValueError: for settings that don't fit the model.
        """
        return self.admission.check(request)

    def check_health(self) -> None:
        """Make sure that the threads run.

        Raises:
            EngineClosedError: if one has ended.
        """
        if not (self._preparer.is_alive and self._text.is_alive):
            raise EngineClosedError
        if self._speech is not None:
            self._speech.check_health()

    def _media_worker(self, name: str) -> MediaWorker:
        return MediaWorker(self.model, name, self.settings.media_batch_size)

    def _end(self, job: Job) -> None:
        self.admission.leave()
        if isinstance(job.error, OutOfMemoryError) and self.on_out_of_memory is not None:
            self.on_out_of_memory()

    def _order_medium(self, task: MediaTask) -> None:
        self._media[task.order.name].submit(task)
