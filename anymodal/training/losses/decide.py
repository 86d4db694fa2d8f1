"""The choice between making a medium and finding one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F

from anymodal.training.losses.base import CHOICES, FEATURES, ItemLosses, Loss, WeightedLoss
from anymodal.training.losses.states import HasTargets


class ChoiceBatch(Protocol):
    """Media to be made or found, by modality."""

    @property
    def num_captions(self) -> Mapping[str, int]:
        """Number of those with a caption."""

    def choices(self, name: str) -> Sequence[bool | None]:
        """Whether each of a modality's is to be found; None where nobody says."""

    def target_samples(self, name: str) -> list[int]:
        """Numbers of the samples that a modality's targets are of."""


class Decide(Loss[ChoiceBatch, HasTargets]):
    """Cross-entropy of the choice between making and finding, of targets that say which.

    A mean over each modality's targets with `find`, and the sum of these means.

    Source: Koh et al. 2023 (GILL), arXiv:2305.17216, section 3.3.
    """

    needs = frozenset({FEATURES, CHOICES})
    unit = "choices"
    is_default = False

    def count(self, batch: ChoiceBatch) -> dict[str, int]:
        return {name: len(_labelled(batch.choices(name))) for name in batch.num_captions}

    def __call__(self, batch: ChoiceBatch, states: HasTargets) -> list[WeightedLoss]:
        losses = []
        for name, target in states.targets.items():
            choices = batch.choices(name)
            if not (places := _labelled(choices)):
                continue
            logits = target.decoder.choice_logits(target.conditioning)[places]
            labels = torch.tensor([int(bool(choices[place])) for place in places])
            errors = F.cross_entropy(logits.float(), labels.to(logits.device), reduction="none")
            samples = torch.tensor(batch.target_samples(name))[places]
            items = ItemLosses(errors.detach(), samples)
            losses.append(WeightedLoss(errors.mean(), len(places), name, items))
        return losses


def _labelled(choices: Sequence[bool | None]) -> list[int]:
    """The places of those of which it is known."""
    return [place for place, choice in enumerate(choices) if choice is not None]
