"""Predictors: models under evaluation, or stand-ins for one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Unpack

import torch

from anymodal.chat.batch import BATCH_SETTINGS, reply_many
from anymodal.chat.settings import MediaSettingsByModality, TextSettings, check_settings
from anymodal.types import Message

if TYPE_CHECKING:
    from anymodal.model import AnyModal


class Predictor(Protocol):
    """Replies to conversations: a model, or what stands in for one."""

    def metadata(self) -> str:
        """Tell this predictor from others, so that their samples are not mixed."""

    def __call__(
        self,
        conversations: Sequence[list[Message]],
        seeds: Sequence[int],
        choices: Sequence[Sequence[str] | None] | None = None,
    ) -> list[Message]:
        """Reply to conversations that end with the user's message.

        Args:
            conversations: to reply to.
            seeds: of each.
            choices: texts of which each reply is one; None for any reply.
        """


class ModelPredictor:
    """A model that replies by its own chat.

    Args:
        model: the model.
        sampling: settings of media by modality, over the model's own.
        batch_size: the most conversations to answer, and the most media to make, at once.
        text: settings of the text.

    Raises:
        ValueError: for settings that don't fit.
    """

    def __init__(
        self,
        model: AnyModal,
        *,
        sampling: MediaSettingsByModality | None = None,
        batch_size: int = 16,
        **text: Unpack[TextSettings],
    ) -> None:
        check_settings(model, sampling, text, BATCH_SETTINGS)
        self.model, self.sampling, self.batch_size, self.text = model, sampling, batch_size, text

    @classmethod
    def from_pretrained(
        cls,
        path: str,
        *,
        device: str | None = None,
        trusted_packages: Sequence[str] = (),
        batch_size: int = 16,
        **text: Unpack[TextSettings],
    ) -> ModelPredictor:
        """A model of a folder, a shipped one or one of the hub; see `AnyModal.from_pretrained`."""
        from anymodal.model import AnyModal

        model = AnyModal.from_pretrained(
            path, trusted_packages=trusted_packages, device=device or "auto"
        )
        return cls(model, batch_size=batch_size, **text)

    def metadata(self) -> str:
        """A hash of the weights and the settings."""
        settings = {"sampling": self.sampling, "batch_size": self.batch_size, **self.text}
        digest = hashlib.sha256(repr(sorted(settings.items())).encode())
        # By the weights themselves: a fine-tuned copy has the same configuration.
        for name, tensor in self.model.state_dict().items():
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            # As bytes, since NumPy has no bfloat16.
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:16]

    def __call__(
        self,
        conversations: Sequence[list[Message]],
        seeds: Sequence[int],
        choices: Sequence[Sequence[str] | None] | None = None,
    ) -> list[Message]:
        """Reply to all conversations in one batch."""
        text: TextSettings = self.text if choices is None else {**self.text, "choices": choices}
        return reply_many(
            self.model,
            conversations,
            seeds=seeds,
            sampling=self.sampling,
            batch_size=self.batch_size,
            **text,
        )
