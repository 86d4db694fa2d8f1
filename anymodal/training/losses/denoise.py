"""The decoders' own loss."""

from __future__ import annotations

from anymodal.training.losses.base import FEATURES, LATENTS, Loss, WeightedLoss
from anymodal.training.losses.states import HasTargets, TargetBatch
from anymodal.types import Conditioning


class Denoise(Loss[TargetBatch, HasTargets]):
    """Denoising of the targets' media under their conditioning.

    A mean over each modality's media, and the sum of these means.
    """

    needs = frozenset({FEATURES, LATENTS})
    unit = "media items"

    def count(self, batch: TargetBatch) -> dict[str, int]:
        return dict(batch.num_media)

    def __call__(self, batch: TargetBatch, states: HasTargets) -> list[WeightedLoss]:
        losses = []
        for name, target in states.targets.items():
            if target.latents is None:
                continue
            conditioning = _select_rows(target.conditioning, target.media_places)
            value = target.decoder.loss(target.latents, conditioning)
            losses.append(WeightedLoss(value, batch.num_media[name], name))
        return losses


def _select_rows(conditioning: Conditioning, places: tuple[int, ...]) -> Conditioning:
    """The conditioning of some targets."""
    if len(places) == len(conditioning.embeds):
        return conditioning
    embeds, mask, pooled = conditioning
    rows = list(places)
    return Conditioning(embeds[rows], mask[rows], None if pooled is None else pooled[rows])
