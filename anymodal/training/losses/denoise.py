"""The decoders' own loss."""

from __future__ import annotations

from typing import Any

import torch

from anymodal.training.losses.base import FEATURES, LATENTS, ItemLosses, Loss, WeightedLoss
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
            more: dict[str, Any] = {}  # a decoder of one's own may know of no references
            if target.references is not None:
                more["references"] = target.references
            values = target.decoder.losses(target.latents, conditioning, **more)
            samples = torch.tensor(batch.target_samples(name))[list(target.media_places)]
            items = ItemLosses(values.detach(), samples)
            losses.append(WeightedLoss(values.mean(), batch.num_media[name], name, items))
        return losses
