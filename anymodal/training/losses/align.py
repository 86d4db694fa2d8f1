"""Alignment of heads to the decoders' own conditioning."""

from __future__ import annotations

import torch

from anymodal.config import ConfigError, nearest, shorten
from anymodal.training.losses.alignment import KINDS, alignment_errors
from anymodal.training.losses.base import (
    CAPTION_CONDITIONING,
    FEATURES,
    ItemLosses,
    Loss,
    WeightedLoss,
)
from anymodal.training.losses.states import HasTargets, TargetBatch


class Align(Loss[TargetBatch, HasTargets]):
    """Distance of the heads' conditioning from the decoders' own of the captions.

    A mean over each modality's captions, and the sum of these means.

    Args:
        weight: factor on it in the sum.
        kind: `mse`, `l2` (NExT-GPT's) or `cosine`, see `alignment_errors`.

    Raises:
        ConfigError: for another kind.
    """

    needs = frozenset({FEATURES, CAPTION_CONDITIONING})
    unit = "captions"

    def __init__(self, weight: float = 1.0, kind: str = "mse") -> None:
        super().__init__(weight)
        if kind not in KINDS:
            raise ConfigError(
                f"kind={shorten(kind)} is no kind of alignment{nearest(kind, KINDS)}; there are "
                f"{', '.join(KINDS)}"
            )
        self.kind = kind

    def count(self, batch: TargetBatch) -> dict[str, int]:
        return dict(batch.num_captions)

    def __call__(self, batch: TargetBatch, states: HasTargets) -> list[WeightedLoss]:
        losses = []
        for name, target in states.targets.items():
            assert target.caption_conditioning is not None, "it is among the needs"
            asked = target.decoder.of_captions(target.conditioning)
            errors = alignment_errors(asked, target.caption_conditioning, self.kind)
            items = ItemLosses(errors.detach(), torch.tensor(batch.target_samples(name)))
            losses.append(WeightedLoss(errors.mean(), batch.num_captions[name], name, items))
        return losses
