"""The engine: many requests at once over one model, without a word of HTTP.

Requests pass three stages, each with threads of its own: prompts are laid out and their media
encoded; texts are written in one running batch; media are made, in a batch for each decoder and
settings.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from anymodal.chat.messages import conversation_of
from anymodal.chat.settings import check_settings
from anymodal.config import ranges
from anymodal.language.tool_calls import ToolFormat, strings_in
from anymodal.serving.content_filter import ContentFilter, check_content
from anymodal.serving.errors import EngineClosedError, OutOfMemoryError, QueueFullError
from anymodal.serving.job import Job, JobSettings
from anymodal.serving.media_worker import MediaTask, MediaWorker
from anymodal.serving.prefix_store import PrefixStore, SoftTokenStore
from anymodal.serving.preparer import Preparer
from anymodal.serving.requests import Channel, Mailbox, ReplyRequest, ReplyStream
from anymodal.serving.text_worker import TextWorker
from anymodal.types import Message, ToolCall

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

MOST_SECONDS = 86_400.0
_MOST_RETRY_AFTER = 60


@dataclass(frozen=True)
class EngineSettings:
    """Limits of an engine.

    Args:
        batch_size: the most replies that are written together.
        media_batch_size: the most media of a modality that are made together.
        max_requests: the most requests under way; more are refused.
        timeout: the longest that a request may take, in seconds.
        prefix_bytes: the most bytes of keys and values to keep for requests that begin alike.
        soft_token_bytes: the most bytes of soft tokens to keep for media that come again.
        content_filter: decides which texts and media may pass, in and out; None lets all pass.

    Raises:
        ValueError: for a value out of its range.
    """

    batch_size: int = 16
    media_batch_size: int = 8
    max_requests: int = 128
    timeout: float = 600.0
    prefix_bytes: int = 256 * 2**20
    soft_token_bytes: int = 64 * 2**20
    content_filter: ContentFilter | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "media_batch_size", "max_requests"):
            ranges.check_integer(name, getattr(self, name), 1, 100_000)
        ranges.check_real("timeout", self.timeout, 0.001, MOST_SECONDS)
        for name in ("prefix_bytes", "soft_token_bytes"):
            ranges.check_integer(name, getattr(self, name), 0, 2**50)


class Engine:
    """Answers many requests at once.

    Every reply is the one that `AnyModal.stream` gives at its seed: greedy text is the same,
    scores differ by the rounding of another batch, and a medium doesn't depend on its company.

    Args:
        model: who answers.
        settings: limits.

    Attributes:
        on_out_of_memory: called, in any thread, when a request ended for want of memory.
    """

    def __init__(self, model: ComposedModel, settings: EngineSettings | None = None) -> None:
        self.model, self.settings = model, settings or EngineSettings()
        self._prefixes = PrefixStore(model.language, self.settings.prefix_bytes)
        self._soft = SoftTokenStore(self.settings.soft_token_bytes)
        self._media = {
            name: MediaWorker(model, name, self.settings.media_batch_size)
            for name in model.decoders
        }
        self._text = TextWorker(model, self._prefixes, self.settings.batch_size, self._order_medium)
        self._preparer = Preparer(model, self._soft, self._text.submit)
        self._requests = 0
        self._mean_seconds = 1.0  # between the ends of two requests
        self._last_end = time.monotonic()
        self._lock = threading.Lock()
        self._is_closed = False
        self._box: Mailbox | None = None
        self.on_out_of_memory: Callable[[], None] | None = None

    @property
    def requests(self) -> int:
        """Number of requests under way."""
        return self._requests

    @property
    def writing(self) -> int:
        """Number of replies whose text is being written."""
        return self._text.num_replies

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
        settings = self.check(request)
        self._enter()
        try:
            messages: Sequence[Message] = ()
            if not request.completes:
                messages = await _messages(request.conversation)
            self._check_length(request, messages)
            await check_content(self.settings.content_filter, _contents(request, messages), "in")
        except BaseException:  # a cancelled task's too: its place goes to others
            self._leave()
            raise
        channel = Channel(self._mailbox())
        job = Job(request, messages, settings, channel, self._end)
        self._preparer.submit(job)
        return ReplyStream(channel, settings.timeout, self.settings.content_filter)

    def close(self) -> None:
        """End what is under way, each request with an error, and the engine's threads."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        # In the order of the stages, so that none hands on to one that has ended.
        self._preparer.close()
        self._text.close()
        for worker in self._media.values():
            worker.close()

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
        if request.completes and not isinstance(request.conversation, str):
            raise ValueError("a text to go on with is a string")
        choose, media = check_settings(self.model, request.sampling, request.text)
        for name in (*request.forced, *(choose.modalities or ())):
            if name not in self.model.decoders:
                names = ", ".join(self.model.decoders) or "text alone"
                raise ValueError(f"this model makes no {name!r}; it makes {names}")
        # Not torch's generator, which all requests and the model itself share.
        seed = secrets.randbelow(2**31) if request.seed is None else ranges.check_seed(request.seed)
        timeout = self.settings.timeout
        if request.timeout is not None:
            timeout = min(
                timeout, ranges.check_real("timeout", request.timeout, 0.001, MOST_SECONDS)
            )
        return JobSettings(choose, media, seed, timeout, self._tool_format(request))

    def _tool_format(self, request: ReplyRequest) -> ToolFormat | None:
        if not request.tools:
            return None
        fmt = self.model.language.template.tools
        if fmt is None:
            raise ValueError(
                "the language model's chat template has no tools, or writes their calls in a form "
                "that isn't read here; leave the tools out"
            )
        return fmt

    def _check_length(self, request: ReplyRequest, messages: Sequence[Message]) -> None:
        """Refuse by its characters what can't fit, since reading it would hold up all others."""
        positions = self.model.language.max_positions
        count = sum(len(each) for each in _contents(request, messages) if isinstance(each, str))
        if positions is not None and count > (most := positions * self._longest_token):
            raise ValueError(
                f"the conversation has {count:,} characters, and the {positions} positions of the "
                f"language model hold at most {most:,}; drop earlier turns"
            )

    @cached_property
    def _longest_token(self) -> int:
        """In characters; a multiple of it, since a tokenizer may join blanks."""
        return 4 * max(map(len, self.model.language.tokenizer.get_vocab()))

    def _enter(self) -> None:
        with self._lock:
            if self._is_closed:
                raise EngineClosedError
            limit = self.settings.max_requests
            if self._requests >= limit:
                wait = min(max(1, math.ceil(self._mean_seconds)), _MOST_RETRY_AFTER)
                raise QueueFullError(limit, wait)
            self._requests += 1

    def _end(self, job: Job) -> None:
        self._leave()
        if isinstance(job.error, OutOfMemoryError) and self.on_out_of_memory is not None:
            self.on_out_of_memory()

    def _leave(self) -> None:
        now = time.monotonic()
        with self._lock:
            self._requests -= 1
            # An exponential mean, by which `retry_after` follows the load.
            self._mean_seconds += 0.1 * (now - self._last_end - self._mean_seconds)
            self._last_end = now

    def _order_medium(self, task: MediaTask) -> None:
        self._media[task.order.name].submit(task)


def _contents(request: ReplyRequest, messages: Sequence[Message]) -> list[object]:
    """All texts and media that the model is shown."""
    parts = [part for message in messages for part in message.content]
    contents: list[object] = [
        part.arguments if isinstance(part, ToolCall) else part for part in parts
    ]
    contents += [request.conversation] if request.completes else []
    return [*contents, *strings_in(request.tools)]


async def _messages(conversation: Any) -> list[Message]:
    """A conversation's messages; files are read in a thread."""
    if isinstance(conversation, list) and all(isinstance(each, Message) for each in conversation):
        return conversation_of(conversation)
    return await asyncio.to_thread(conversation_of, conversation)
