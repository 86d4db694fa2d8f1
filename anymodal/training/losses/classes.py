"""Losses of classes: cross-entropy to learn from, and the zero-one loss to watch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from anymodal.config import ConfigError, shorten
from anymodal.data.workers import PackedTensor
from anymodal.training.losses.base import ItemLosses, Loss, WeightedLoss


class ClassBatch(NamedTuple):
    """Media of one modality and their classes.

    Attributes:
        media: as the encoder prepared them, (B, …).
        labels: class of each, (B,), on the CPU.
        names: of all classes, in order.
    """

    media: PackedTensor
    labels: Tensor
    names: Sequence[str]


class ClassStates(NamedTuple):
    """Logits (B, C) of a batch, and the distribution (B, C) that each row should have."""

    logits: Tensor
    targets: Tensor


class ClassLoss(Loss[ClassBatch, ClassStates]):
    """A mean over media, or over classes of the means over their media.

    Args:
        weight: factor on it in the sum.
        balanced: whether each class counts alike, however many media it has. A class that a step
            has no media of adds nothing to it.
    """

    unit = "media items"

    def __init__(self, weight: float = 1.0, balanced: bool = False) -> None:
        super().__init__(weight)
        self.balanced = balanced

    def count(self, batch: ClassBatch) -> dict[str, int]:
        if not self.balanced:
            return {"": len(batch.labels)}
        counts = batch.labels.bincount(minlength=len(batch.names)).tolist()
        return dict(zip(batch.names, counts, strict=True))

    def __call__(self, batch: ClassBatch, states: ClassStates) -> list[WeightedLoss]:
        values = self.values(states, batch.labels.to(states.logits.device))  # (B,)
        if not self.balanced:
            items = ItemLosses(values.detach(), torch.arange(len(values)))
            return [WeightedLoss(values.mean(), len(values), items=items)] if len(values) else []
        parts = []
        for place, (name, count) in enumerate(self.count(batch).items()):
            if count:
                rows = (batch.labels == place).nonzero().flatten().to(values.device)
                parts.append(WeightedLoss(values[rows].mean() / len(batch.names), count, name))
        return parts

    @abstractmethod
    def values(self, states: ClassStates, labels: Tensor) -> Tensor:
        """The loss (B,) of each medium."""


class CrossEntropy(ClassLoss):
    """Cross-entropy of the classes.

    Source: label smoothing is of Szegedy et al. 2016, section 7.

    Args:
        weight: factor on it in the sum.
        balanced: see `ClassLoss`.
        label_smoothing: share of a target that is spread evenly over all classes.

    Raises:
        ConfigError: for a share below 0, or of 1 or more.
    """

    def __init__(
        self, weight: float = 1.0, balanced: bool = False, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(weight, balanced)
        if not 0 <= label_smoothing < 1:
            raise ConfigError(
                "label_smoothing must be at least 0 and less than 1, not "
                f"{shorten(label_smoothing)}"
            )
        self.label_smoothing = label_smoothing

    def values(self, states: ClassStates, labels: Tensor) -> Tensor:
        return F.cross_entropy(
            states.logits.float(),
            states.targets,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )


class ZeroOne(ClassLoss):
    """The zero-one loss, the share of media whose likeliest class is another than their own.

    One minus the accuracy. It has no gradient, and stands beside a loss that has one, as a figure
    of validation: give it the weight 0.
    """

    def values(self, states: ClassStates, labels: Tensor) -> Tensor:
        return (states.logits.argmax(1) != labels).float()


class BalancedZeroOne(ZeroOne):
    """The zero-one loss where each class counts alike: one minus the balanced accuracy."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(weight, balanced=True)
