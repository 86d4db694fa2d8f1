"""A composed network that chats."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Unpack, overload

from anymodal.chat import turn
from anymodal.chat.batch import batch_seeds, reply_many
from anymodal.chat.checking import (
    ReplyChecker,
    answer_with_check,
    ask_model,
    checker_of,
    refuse_unchecked,
)
from anymodal.chat.messages import conversation_of, is_batch
from anymodal.chat.references import ReferencesByModality
from anymodal.chat.settings import (
    MediaSettings,
    MediaSettingsByModality,
    TextSettings,
    check_settings,
    check_system_prompt,
)
from anymodal.chat.tools import ToolLike, ToolLimits
from anymodal.core import ComposedModel
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.token_text import token_text
from anymodal.media import Limits, Media
from anymodal.types import Done, Event, Message, ToolCall


class ChatModel(ComposedModel):
    """A composed network with `chat` and `stream`; a `Responder`, so that sessions talk to it."""

    @property
    def readable_kinds(self) -> list[str]:
        """Kinds of media that it reads."""
        return sorted(media.kind for media in self.prompts.encoders)

    def check_settings(
        self,
        sampling: MediaSettingsByModality | None,
        text: TextSettings,
        others: Sequence[str] = (),
    ) -> object:
        """Check settings of a reply, see `chat.settings.check_settings`.

        Raises:
            ValueError: for one that is unknown or out of its range.
        """
        return check_settings(self, sampling, text, others)

    def check_system_prompt(self, text: str) -> None:
        """Check that the chat template takes a system prompt.

        Raises:
            ValueError: if it doesn't.
        """
        check_system_prompt(self, text)

    def check_tools(self) -> None:
        """Check that the chat template has a form for tools.

        Raises:
            ValueError: if it hasn't.
        """
        self.language.template.require_tools()

    def modalities_with(self, setting: MediaSettings) -> list[str]:
        """The modalities whose decoders take a setting.

        Raises:
            ValueError: none does, by what the first of them says against it.
        """
        names, errors = [], []
        for name in (*self.decoders, *self.speakers):
            try:
                self.modalities[name].settings(setting)
                names.append(name)
            except ValueError as error:
                errors.append(error)
        if not names:
            raise errors[0] if errors else ValueError("this model makes no media")
        return names

    def new_cache(self) -> PrefixCache:
        """A cache for one session's turns."""
        return PrefixCache(self.language)

    def token_text(self, token: int) -> str:
        """The text of a token."""
        return token_text(self.language, token)

    def save_medium(self, medium: Media, path: Path) -> Path:
        """Save a medium of a reply; the path has no suffix yet."""
        return medium.save(path.with_name(path.name + medium.suffix))

    def stream(
        self,
        conversation: object,
        *,
        seed: int | None = None,
        sampling: MediaSettingsByModality | None = None,
        references: ReferencesByModality | None = None,
        limits: Limits | None = None,
        cache: PrefixCache | None = None,
        tools: Sequence[ToolLike] = (),
        tool_limits: ToolLimits | None = None,
        approve_call: Callable[[ToolCall], bool] | None = None,
        check: ReplyChecker | bool | None = None,
        **text: Unpack[TextSettings],
    ) -> Generator[Event]:
        """Answer a conversation piece by piece: text as it comes, then media with progress.

        It yields `TextDelta`, `MediumStarted`, `MediumProgress`, `MediumReady`, of tools
        `ToolCalled` and `ToolFinished`, and in the end `Done` with the whole message. Settings and
        conversation are checked at once, before the first event is asked for. Closing the generator
        ends the work at its next step.

        Args:
            conversation: a text, a list of texts, media and file paths (one user message), or a
                list of `Message`s; see `anymodal.chat.messages.conversation_of`.
            seed: of the sampled text and of the media; None draws one.
            sampling: `anymodal.chat.settings.MediaSettings` by modality, as
                `{"image": {"steps": 20}}`, over the model's own.
            references: what media of a modality are made from, where its decoder looks at any, as
                `{"image": Path("photo.jpg")}`; what the model chooses where it is left out. See
                `anymodal.chat.references.ReferencesByModality`.
            limits: the most that a file may hold, such as `max_seconds`.
            cache: keys and values of earlier turns, kept by a session.
            tools: that the model may call: Python functions, pairs of an OpenAI definition and a
                function, definitions alone, whose calls end the turn, or connections to MCP
                servers, see `anymodal.chat.tools`. Calls and results before the reply are its
                `Message.steps`.
            tool_limits: of number, time and size of calls.
            approve_call: asked before each call; one to which it doesn't say True is refused.
            check: verify what the reply says against the media of the conversation, and correct it:
                True, or a `chat.checking.ReplyChecker`. Its text then comes at once, after a
                `ClaimChecked` of each claim; `Message.check` says what changed, and what it took.
            text: `anymodal.chat.settings.TextSettings`, such as `max_new_tokens`.

        Raises:
            ValueError: for a conversation or settings that don't fit.
            NonFiniteError: while it is read, if NaN or infinity came out in a medium's place.
        """
        checker = checker_of(check)
        if checker is not None:
            refuse_unchecked(text, tools)
            seed, conversation = turn.draw_seed(seed), conversation_of(conversation, limits)
        events = turn.stream(
            self,
            conversation,
            seed=seed,
            sampling=sampling,
            references=references,
            limits=limits,
            cache=cache,
            tools=tools,
            tool_limits=tool_limits,
            approve_call=approve_call,
            **text,
        )
        if checker is None:
            return events
        assert isinstance(conversation, list) and seed is not None, "both were read"
        asks = ask_model(self, seed, text.get("max_new_tokens"))
        return answer_with_check(events, conversation, checker, asks, seed)

    # An `object` may be such a list as well, but then the first overload counts.
    @overload
    def chat(  # type: ignore[overload-overlap]
        self,
        conversation: list[list[Any]] | tuple[list[Any], ...],
        *,
        seed: int | Sequence[int] | None = ...,
        sampling: MediaSettingsByModality | None = ...,
        references: ReferencesByModality | None = ...,
        limits: Limits | None = ...,
        batch_size: int = ...,
        **text: Unpack[TextSettings],
    ) -> list[Message]: ...

    @overload
    def chat(
        self,
        conversation: object,
        *,
        seed: int | None = ...,
        sampling: MediaSettingsByModality | None = ...,
        references: ReferencesByModality | None = ...,
        limits: Limits | None = ...,
        cache: PrefixCache | None = ...,
        tools: Sequence[ToolLike] = ...,
        tool_limits: ToolLimits | None = ...,
        approve_call: Callable[[ToolCall], bool] | None = ...,
        check: ReplyChecker | bool | None = ...,
        **text: Unpack[TextSettings],
    ) -> Message: ...

    def chat(
        self,
        conversation: object,
        *,
        seed: int | Sequence[int] | None = None,
        sampling: MediaSettingsByModality | None = None,
        references: ReferencesByModality | None = None,
        limits: Limits | None = None,
        cache: PrefixCache | None = None,
        batch_size: int = 16,
        tools: Sequence[ToolLike] = (),
        tool_limits: ToolLimits | None = None,
        approve_call: Callable[[ToolCall], bool] | None = None,
        check: ReplyChecker | bool | None = None,
        **text: Unpack[TextSettings],
    ) -> Message | list[Message]:
        """Answer a conversation, or a list of them in batches; a reply holds texts and media.

        Args:
            conversation: as `stream` takes it; or a list of such lists, which gives a list of
                replies.
            seed: of the sampled text and of the media; None draws one. Of several conversations,
                the one at index i has `seed + i`, or a seed of its own where `seed` is a list.
            sampling: `anymodal.chat.settings.MediaSettings` by modality, as
                `{"image": {"steps": 20}}`, over the model's own.
            references: what media of a modality are made from, where its decoder looks at any, as
                `{"image": Path("photo.jpg")}`; what the model chooses where it is left out. See
                `anymodal.chat.references.ReferencesByModality`.
            limits: the most that a file may hold, such as `max_seconds`.
            cache: keys and values of earlier turns of one conversation, kept by a session.
            batch_size: of several conversations, the most to answer, and the most media to make, at
                once.
            tools: that the model may call, as `stream` takes them; with one conversation.
            tool_limits: of number, time and size of calls.
            approve_call: asked before each call; one to which it doesn't say True is refused.
            check: verify what the reply says against the media of the conversation, and correct it:
                True, or a `chat.checking.ReplyChecker`. Its text then comes at once, after a
                `ClaimChecked` of each claim; `Message.check` says what changed, and what it took.
            text: `anymodal.chat.settings.TextSettings`, such as `max_new_tokens`.

        Raises:
            ValueError: for a conversation or settings that don't fit.
            NonFiniteError: if NaN or infinity came out in a medium's place.
        """
        if is_batch(conversation):
            if cache is not None:
                raise ValueError(
                    "a cache keeps one conversation; leave it out, or chat one at a time"
                )
            if check:
                raise ValueError(
                    "check reads one conversation's reply at a time; chat one at a time, or leave "
                    "it out"
                )
            if tools:
                raise ValueError(
                    "tools are called in one conversation at a time; chat one at a time, or leave "
                    "them out"
                )
            seeds = batch_seeds(seed, len(conversation))
            return reply_many(
                self,
                conversation,
                seeds=seeds,
                sampling=sampling,
                references=references,
                limits=limits,
                batch_size=batch_size,
                **text,
            )
        if isinstance(seed, Sequence):
            raise ValueError(f"seed={seed!r} for one conversation; give one whole number")
        events = self.stream(
            conversation,
            seed=seed,
            sampling=sampling,
            references=references,
            limits=limits,
            cache=cache,
            tools=tools,
            tool_limits=tool_limits,
            approve_call=approve_call,
            check=check,
            **text,
        )
        with contextlib.closing(events):
            return next(event.message for event in events if isinstance(event, Done))
