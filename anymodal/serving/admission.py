"""Admission of requests: their settings are checked, and those under way are counted."""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from anymodal.chat.messages import conversation_of
from anymodal.chat.settings import check_settings
from anymodal.config import ranges
from anymodal.decoders.references import Reference
from anymodal.language.tool_calls import strings_in
from anymodal.media import Media, Speech
from anymodal.serving.content_filter import ContentFilter, check_content
from anymodal.serving.errors import EngineClosedError, QueueFullError
from anymodal.serving.job import JobSettings
from anymodal.serving.requests import ReplyRequest
from anymodal.types import Message, ToolCall

if TYPE_CHECKING:
    from torch.nn import Module

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
        pixel_ratio: the most pixels of a medium, in multiples of what its decoder makes by itself.
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
    pixel_ratio: float = 4.0
    content_filter: ContentFilter | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "media_batch_size", "max_requests"):
            ranges.check_integer(name, getattr(self, name), 1, 100_000)
        ranges.check_real("timeout", self.timeout, 0.001, MOST_SECONDS)
        for name in ("prefix_bytes", "soft_token_bytes"):
            ranges.check_integer(name, getattr(self, name), 0, 2**50)
        ranges.check_real("pixel_ratio", self.pixel_ratio, 1.0, 1e6)

    def check_pixels(self, decoder: Module, settings: Mapping[str, Any]) -> None:
        """Check how much a medium asks for: its time and memory grow faster than its pixels.

        Raises:
            ValueError: it has too many pixels for the decoder, in all frames together.
        """
        wanted = [settings.get(name) for name in ("frames", "height", "width")]
        family = getattr(decoder, "family", None)
        if family is None or not any(wanted):
            return
        own = family.pixels
        ratio = math.prod((each or one) / one for each, one in zip(wanted, own, strict=True))
        if ratio > self.pixel_ratio:
            raise ValueError(
                f"height, width and frames make {ratio:.1f} times the decoder's own pixels; the "
                f"limit of this server is {self.pixel_ratio:g} times"
            )


class Admission:
    """Lets requests to a model in, one by one.

    Args:
        model: who will answer; its weights are not needed.
        settings: limits.
    """

    def __init__(self, model: ComposedModel, settings: EngineSettings) -> None:
        self.model, self.settings = model, settings
        self._requests = 0
        self._mean_seconds = 1.0  # between the ends of two requests
        self._last_end = time.monotonic()
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def requests(self) -> int:
        """Number of requests under way."""
        return self._requests

    async def enter(self, request: ReplyRequest) -> tuple[JobSettings, Sequence[Message]]:
        """Let a request in, which is counted until `leave`; its settings and conversation.

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
            shown = [*_contents(request, messages), *_contents_of_settings(request)]
            await check_content(self.settings.content_filter, shown, "in")
        except BaseException:  # a cancelled task's too: its place goes to others
            self.leave()
            raise
        return settings, messages

    async def enter_speech(self, request: ReplyRequest) -> JobSettings:
        """Let a request in to speak a text, which no language model reads; its settings.

        Raises:
            ContentFilterError: if the text may not pass the operator's filter.
            QueueFullError: if too many requests are under way.
            EngineClosedError: if the engine was closed.
            ValueError: for settings that don't fit the model.
        """
        settings = self.check(request)
        self._enter()
        try:
            shown = [*_contents(request, ()), *_contents_of_settings(request)]
            shown += [each.text for each in shown if isinstance(each, Speech)]
            await check_content(self.settings.content_filter, shown, "in")
        except BaseException:
            self.leave()
            raise
        return settings

    def leave(self) -> None:
        """Count a request's end."""
        now = time.monotonic()
        with self._lock:
            self._requests -= 1
            # An exponential mean, by which `retry_after` follows the load.
            self._mean_seconds += 0.1 * (now - self._last_end - self._mean_seconds)
            self._last_end = now

    def close(self) -> bool:
        """Let nobody in any more; False if that was so already."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        return not was_closed

    def check(self, request: ReplyRequest) -> JobSettings:
        """The settings of a request, checked.

        Raises:
            ValueError: for settings that don't fit the model.
        """
        if request.completes and not isinstance(request.conversation, str):
            raise ValueError("a text to go on with is a string")
        choose, media = check_settings(self.model, request.sampling, request.text)
        for name, own in media.items():
            if name in self.model.decoders:  # and isn't spoken
                with ranges.settings_errors_at(f"sampling of {name!r}"):
                    self.settings.check_pixels(self.model.decoders[name], own)
        for name in request.forced:
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
        fmt = self.model.language.template.require_tools() if request.tools else None
        return JobSettings(choose, media, seed, timeout, fmt)

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


def _contents(request: ReplyRequest, messages: Sequence[Message]) -> list[object]:
    """All texts and media that the model is shown."""
    parts = [part for message in messages for part in message.content]
    contents: list[object] = [
        part.arguments if isinstance(part, ToolCall) else part for part in parts
    ]
    contents += [request.conversation] if request.completes else []
    return [*contents, *strings_in(request.tools)]


def _contents_of_settings(request: ReplyRequest) -> list[object]:
    """Texts and media that come beside the conversation: negative prompts, choices, references."""
    texts = [value for settings in request.sampling.values() for value in settings.values()]
    references: list[object] = []
    for value in request.references.values():
        references += value if isinstance(value, list | tuple) else [value]
    media = [each.media if isinstance(each, Reference) else each for each in references]
    return [*texts, *strings_in(request.text.get("choices")),
            *(each for each in media if isinstance(each, Media))]  # fmt: skip


async def _messages(conversation: Any) -> list[Message]:
    """A conversation's messages; files are read in a thread."""
    if isinstance(conversation, list) and all(isinstance(each, Message) for each in conversation):
        return conversation_of(conversation)
    return await asyncio.to_thread(conversation_of, conversation)
