"""Conversations laid out for the language model: token ids, slots for media, what is supervised."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.signal_tokens import Signals
from anymodal.media import Media
from anymodal.types import Message, Target


@dataclass(frozen=True, eq=False)
class Item:
    """A medium in a prompt: its modality, the position of its first slot, and the text that its
    soft tokens depend on, if any.
    """

    modality: str
    media: Media
    start: int
    text: str = ""

    @cached_property
    def digest(self) -> str:
        """The medium's digest, computed once for this prompt."""
        return self.media.digest()

    @property
    def key(self) -> Hashable:
        """What its soft tokens are known by: they are the same wherever it is."""
        return (self.digest, self.text) if self.text else self.digest


class Span(NamedTuple):
    """A signal span in a prompt: what should be made, and the position of its first signal."""

    target: Target
    start: int


@dataclass
class Prompt:
    """One conversation as the language model sees it.

    Attributes:
        ids: token ids; a medium's slots hold its placeholder.
        labels: the same length; `IGNORED` where nothing is supervised.
        items: media to encode, in order.
        spans: signal spans that have a target, in order.
    """

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def keys(self, slots: int) -> list[Hashable]:
        """What stands at each position, to compare prompts by: a token id, or a medium's slot."""
        keys: list[Hashable] = list(self.ids)
        for item in self.items:
            for slot in range(slots):
                keys[item.start + slot] = (item.key, slot)
        return keys


class Layout:
    """Lays conversations out as prompts.

    User text is tokenised piece by piece, so nothing that a user types can become a signal, a
    placeholder or a part of the chat template. Media that a reply contained are shown to the model
    at the head of the following message, where they can be referred to and edited.

    Args:
        language: tokenises text and knows the chat template.
        signals: the ids of spans and placeholders.
        names: modality by class of media, for those that have an encoder.
        slots: soft tokens per medium.
        reads_text: whether these depend on what their message says.
        makers: modality by class of media, for those that have a decoder.
    """

    def __init__(
        self,
        language: LanguageModel,
        signals: Signals,
        names: Mapping[type[Media], str],
        slots: int,
        reads_text: bool = False,
        makers: Mapping[type[Media], str] | None = None,
    ) -> None:
        self.language, self.signals, self.names, self.slots = language, signals, names, slots
        self.reads_text, self.makers = reads_text, dict(makers or {})

    def prompt(self, messages: Sequence[Message], *, reply: bool) -> Prompt:
        """Lay out a conversation, ready for the assistant's next message if `reply`.

        Raises:
            ValueError: for an empty conversation, or a medium that no encoder reads.
        """
        if not messages:
            raise ValueError("the conversation is empty; give at least one message")
        media: list[Media] = []
        texts: list[str] = []  # beside each of the media
        targets: list[Target] = []
        turns: list[tuple[str, list[str | list[int]]]] = []
        shown: list[Media] = []  # media of the reply before, to be shown next
        for message in messages:
            pieces: list[str | list[int]] = []
            if message.role != "assistant":
                pieces += [self._slots_of(item, media) for item in shown]
                shown = []
            for part in message.content:
                pieces += self._piece(part, message.role, media, targets, shown)
            texts += [self._beside(message)] * (len(media) - len(texts))
            turns.append((message.role, pieces))
        prompt = Prompt()
        for segment in self.language.render_chat(turns, add_generation_prompt=reply):
            ids = segment.ids
            prompt.ids += ids
            prompt.labels += self._labels(ids) if segment.supervised else [IGNORED] * len(ids)
        self._find(prompt, media, texts, targets)
        return prompt

    def _beside(self, message: Message) -> str:
        """What a message says to its media. No later message is read: soft tokens are to stay as
        they are, with the keys and values of all that follows them.
        """
        if not self.reads_text:
            return ""
        said = (part.strip() for part in message.content if isinstance(part, str))
        return " ".join(part for part in said if part)

    def _piece(
        self,
        part: str | Media | Target,
        role: str,
        media: list[Media],
        targets: list[Target],
        shown: list[Media],
    ) -> list[str | list[int]]:
        if isinstance(part, str):
            return [part]
        if role != "assistant":
            assert not isinstance(part, Target), "targets stand in the assistant's messages"
            return [self._slots_of(part, media)]
        target = part if isinstance(part, Target) else self._made(part)
        if target.media is not None and type(target.media) in self.names:
            shown.append(target.media)
        if (maker := self._maker(target)) is None:
            return []
        same = maker == target.modality
        targets.append(target if same else dataclasses.replace(target, modality=maker))
        return [self.signals.span(maker)]

    def _made(self, media: Media) -> Target:
        return Target(self.makers.get(type(media), media.kind), "", media)

    def _maker(self, target: Target) -> str | None:
        """The modality that makes a target, which names it or a kind of media; None for nobody."""
        if target.modality in self.signals.counts:
            return target.modality
        if target.media is not None:
            return self.makers.get(type(target.media))
        return next((n for cls, n in self.makers.items() if cls.kind == target.modality), None)

    def _slots_of(self, item: Media, media: list[Media]) -> list[int]:
        name = self.names.get(type(item))
        if name is None:
            known = ", ".join(sorted(cls.__name__ for cls in self.names))
            raise ValueError(
                f"no encoder of this model reads {type(item).__name__}; it reads {known}"
            )
        media.append(item)
        return [self.signals.placeholder(name)] * self.slots

    def _labels(self, ids: list[int]) -> list[int]:
        """Only a span's first signal is chosen; the rest follows by construction."""
        chosen = self.signals.starts
        return [
            IGNORED if self.signals.is_signal(token) and token not in chosen else token
            for token in ids
        ]

    def _find(
        self, prompt: Prompt, media: list[Media], texts: list[str], targets: list[Target]
    ) -> None:
        """Locate the media's slots and the targets' spans among the ids."""
        held = {self.signals.placeholder(name) for name in self.signals.inputs}
        slots = [place for place, token in enumerate(prompt.ids) if token in held]
        if len(slots) != len(media) * self.slots:
            raise ValueError(
                f"the prompt has {len(slots)} slots for {len(media)} media of {self.slots} each; "
                "does the chat template drop or repeat a message?"
            )
        starts = [i for i, token in enumerate(prompt.ids) if token in self.signals.starts]
        if len(starts) != len(targets):
            raise ValueError(
                f"the prompt has {len(starts)} signal spans for {len(targets)} media to make; "
                "does the chat template drop or repeat a message?"
            )
        firsts = slots[:: self.slots] if self.slots else []  # a model that only writes and makes
        for item, start, text in zip(media, firsts, texts, strict=True):
            prompt.items.append(Item(self.names[type(item)], item, start, text))
        prompt.spans += [Span(t, start) for t, start in zip(targets, starts, strict=True)]
