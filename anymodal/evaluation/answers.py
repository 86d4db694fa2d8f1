"""What is evaluated: something that answers conversations, such as a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from anymodal.chat import turn as chat
from anymodal.language.generation import SpanReady, TextToken
from anymodal.types import Message

if TYPE_CHECKING:
    from anymodal.language.signal_tokens import Signals
    from anymodal.model import AnyModal


class Answer(NamedTuple):
    """A reply, and how many broken spans were among its ids."""

    message: Message
    malformed: int = 0


class Answerer(Protocol):
    """What the matrix talks to."""

    def identity(self) -> str:
        """What tells this answerer from others, so that their samples are not mixed."""

    def __call__(
        self, conversations: Sequence[list[Message]], seeds: Sequence[int]
    ) -> list[Answer]:
        """Answer conversations that end with the user's message."""


class ModelAnswers:
    """A model's own answers.

    Args:
        model: the model.
        settings: of `chat.reply_many`.

    Raises:
        ValueError: for settings that don't fit.
    """

    def __init__(self, model: AnyModal, **settings: Any) -> None:
        how = {name: value for name, value in settings.items() if name not in chat.OF_MANY}
        chat.check_settings(model, settings.get("sampling"), how, chat.OF_MANY)
        self.model, self.settings = model, settings

    def identity(self) -> str:
        """A hash of the weights and the settings."""
        digest = hashlib.sha256(repr(sorted(self.settings.items())).encode())
        for name, tensor in self.model.state_dict().items():
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:16]

    def __call__(
        self, conversations: Sequence[list[Message]], seeds: Sequence[int]
    ) -> list[Answer]:
        """Answer all conversations in one batch."""
        heard: list[list[TextToken | SpanReady]] = []
        messages = chat.reply_many(
            self.model, conversations, seeds=seeds, heard=heard, **self.settings
        )
        counts = [count_malformed(events, self.model.signals) for events in heard]
        return [Answer(message, count) for message, count in zip(messages, counts, strict=True)]


def count_malformed(events: Sequence[TextToken | SpanReady], signals: Signals) -> int:
    """How many broken spans the raw ids of a reply hold."""
    ids: list[int] = []
    for event in events:
        ids += event.ids if isinstance(event, TextToken) else signals.span(event.name)
    return signals.parse(ids).malformed
