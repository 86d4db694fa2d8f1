"""Predictors: what is evaluated, such as a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch

from anymodal.chat import turn as chat
from anymodal.types import Message

if TYPE_CHECKING:
    from anymodal.model import AnyModal


class Predictor(Protocol):
    """Replies to conversations: a model, or what stands in for one."""

    def identity(self) -> str:
        """Tell this predictor from others, so that their samples are not mixed."""

    def __call__(
        self, conversations: Sequence[list[Message]], seeds: Sequence[int]
    ) -> list[Message]:
        """Reply to conversations that end with the user's message."""


class ModelPredictor:
    """A model that replies by its own chat.

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
    ) -> list[Message]:
        """Reply to all conversations in one batch."""
        return chat.reply_many(self.model, conversations, seeds=seeds, **self.settings)
