"""Contrast of media with what they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from anymodal.distributed import collectives
from anymodal.training.losses.base import Loss, WeightedLoss


class BoundMedia(NamedTuple):
    """One modality's media in a batch, or their embeddings, and what they are bound to.

    Shapes: media (B, …), anchors (B, T, …), marks (B, T), on the CPU. Equal marks are equal texts;
    -1 is no text.
    """

    media: Tensor
    anchors: Tensor
    marks: Tensor


BoundBatch = dict[str, BoundMedia]
"""By modality, those that a batch has media of."""


class Contrast(Loss[BoundBatch, Mapping[str, BoundMedia]]):
    """Symmetric InfoNCE of the modality of the same name, a mean over its media.

    Every item is told from those of all processes, as in one with the whole batch. Batches that
    accumulate are told apart each for itself.

    Args:
        weight: factor on it in the sum.
        scale: the logits' scale, one over the temperature.
    """

    unit = "media items"

    def __init__(self, weight: float = 1.0, scale: float = 15.0) -> None:
        super().__init__(weight)
        self.scale = scale

    def count(self, batch: BoundBatch) -> dict[str, int]:
        return {"": len(batch[self.name].marks) if self.name in batch else 0}

    def __call__(self, batch: BoundBatch, states: Mapping[str, BoundMedia]) -> list[WeightedLoss]:
        own = len(states[self.name].marks)
        media, anchors, marks = (
            collectives.all_gather_with_grad(rows.flatten(1)) for rows in states[self.name]
        )
        if not len(marks):
            return []
        anchors = anchors.unflatten(1, (marks.shape[1], -1))  # (B, T, E)
        loss = _text_contrast(media, anchors, marks, self.scale)
        # Only own rows have a gradient, and a process's loss counts by how many those are: this
        # one is of all rows, so its gradient grows by as much as its count falls short.
        share = len(marks) / max(own, 1)
        return [WeightedLoss(share * loss - (share - 1) * loss.detach(), own)]


def _text_contrast(media: Tensor, anchors: Tensor, marks: Tensor, scale: float) -> Tensor:
    """The mean over texts of how well media (B, E) are told apart by each of theirs (B, T, E)."""
    losses = []
    for embeds, numbers in zip(anchors.unbind(1), marks.unbind(1), strict=True):
        there = numbers >= 0
        if there.any():
            rows = there.nonzero().flatten().to(media.device)
            same = (numbers[there][:, None] == numbers[there]).to(media.device)
            losses.append(contrastive(media[rows], embeds[rows], same, scale))
    return torch.stack(losses).mean()


def contrastive(first: Tensor, second: Tensor, same: Tensor, scale: float) -> Tensor:
    """Symmetric InfoNCE in which several items may match.

    Source: ImageBind (Girdhar et al. 2023), equation 1; targets spread over equal captions as in
    supervised contrastive learning (Khosla et al. 2020, equation 2).

    Shapes: first and second (B, E), L2-normalised; same (B, B), bool, True where items match.
    """
    logits = scale * first @ second.T  # (B, B)
    targets = same.float() / same.float().sum(1, keepdim=True)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2
