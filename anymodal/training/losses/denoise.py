"""The decoders' own loss."""

from __future__ import annotations

from anymodal.training.losses.base import FEATURES, LATENTS, Loss, WeightedLoss
from anymodal.training.losses.states import HasTargets, TargetBatch


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
            conditioning = target.conditioning
            if len(target.media_places) < len(conditioning.embeds):
                conditioning = conditioning.select(list(target.media_places))
            if target.references is None:  # a decoder of one's own may know of none
                value = target.decoder.loss(target.latents, conditioning)
            else:
                value = target.decoder.loss(
                    target.latents, conditioning, references=target.references
                )
            losses.append(WeightedLoss(value, batch.num_media[name], name))
        return losses
