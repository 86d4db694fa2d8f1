"""Encoders that learn classes from labels, before a language model reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from anymodal.config import ConfigError, shorten
from anymodal.config.ranges import check_real
from anymodal.data.workers import PackedTensor
from anymodal.encoders import Encoder
from anymodal.encoders.base import like_weights
from anymodal.media import Media
from anymodal.training.losses import BalancedZeroOne, CrossEntropy, Loss, ZeroOne
from anymodal.training.losses.classes import ClassBatch, ClassStates
from anymodal.training.objectives.base import Objective
from anymodal.training.objectives.classifier import Classifier
from anymodal.types import Message

CLASS_LOSSES: dict[str, type[Loss[Any, Any]]] = {
    "cross_entropy": CrossEntropy,
    "zero_one": ZeroOne,
    "balanced_zero_one": BalancedZeroOne,
}


class Classification(Objective[Sequence[Message], ClassBatch]):
    """An encoder learns to tell classes, by a linear head over the mean of its features.

    Data are conversations as `anymodal.data` reads labels and labelled recordings: a question
    about one medium, and the label as the reply. The finished folder starts a composed model by
    `weights: [FOLDER]`, whose projection then learns to tell a language model the same. The
    parameters are `encoders.NAME.*` and `head.*`.

    Args:
        model: one encoder, by the name that a composed model will have for it.
        labels: of the classes, as the replies say them.
        augment: called with a prepared batch (B, …) of training on the model's device; gives one
            of the same shape. None to leave it as it is.
        mixup: α of a Beta(α, α) by which pairs of media and their labels are mixed (Zhang et al.
            2018, mixup); 0 for none.

    Raises:
        ConfigError: for a model that isn't one encoder.
        ValueError: for labels that name no two classes, or a mixup below 0.
    """

    model: Classifier

    def __init__(
        self,
        model: Mapping[str, Encoder],
        labels: list[str],
        augment: Callable[[Tensor], Tensor] | None = None,
        mixup: float = 0.0,
    ) -> None:
        encoders = model.items() if isinstance(model, Mapping) else ()
        if len(encoders) != 1 or not all(isinstance(each, Encoder) for _, each in encoders):
            raise ConfigError(
                "Classification trains one encoder by its name, as model: {imu: {_target_: …}}, "
                f"not {shorten(model)}"
            )
        ((name, encoder),) = encoders
        self.mixup = check_real("mixup", mixup, 0, 1000)
        super().__init__(Classifier(name, encoder, labels), CLASS_LOSSES)
        self.augment = augment
        self._places = {label: place for place, label in enumerate(self.model.labels)}

    def collate(self, samples: Sequence[Sequence[Message]]) -> ClassBatch:
        """Prepared media and their classes.

        Raises:
            ValueError: for a conversation without one medium and one of the labels as its reply.
        """
        media, labels = zip(*map(self._labelled, samples), strict=True)
        prepared = torch.stack([self.model.encoder.prepare(each) for each in media])
        return ClassBatch(PackedTensor.of(prepared), torch.tensor(labels), self.model.labels)

    def _labelled(self, sample: Sequence[Message]) -> tuple[Media, int]:
        """The medium that is shown, and the place of its label."""
        media = [part for each in sample for part in each.content if isinstance(part, Media)]
        if len(media) != 1:
            raise ValueError(f"a conversation has {len(media)} media; a label is of one")
        label = sample[-1].text.strip()
        if sample[-1].role != "assistant" or label not in self._places:
            raise ValueError(
                f"the reply {shorten(label)} is none of the labels {', '.join(self._places)}"
            )
        return media[0], self._places[label]

    def states(self, batch: ClassBatch) -> ClassStates:
        media = like_weights(batch.media.tensor(), self.model)
        labels = batch.labels.to(media.device)
        targets = F.one_hot(labels, len(batch.names)).float()  # (B, C)
        if torch.is_grad_enabled():  # a held-out batch stays as it is
            if self.augment is not None:
                media = self.augment(media)
            media, targets = self._mix(media, targets)
        return ClassStates(self.model(media), targets)

    def _mix(self, media: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Each row mixed with another; its own weighs more, so that its label stays its class."""
        if not self.mixup:
            return media, targets
        share = torch.distributions.Beta(self.mixup, self.mixup).sample().item()
        share = max(share, 1 - share)
        others = torch.randperm(len(media), device=media.device)
        return (
            share * media + (1 - share) * media[others],
            share * targets + (1 - share) * targets[others],
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the encoder's weights for composed models, and the head with its labels."""
        self.model.save_pretrained(folder)
