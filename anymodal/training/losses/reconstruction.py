"""Terms of an autoencoder's reconstruction."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from anymodal.training.losses.base import Loss, WeightedLoss


class Reconstruction(Loss[Tensor, Mapping[str, Tensor]]):
    """One named term of a reconstruction, a mean over media.

    A term that is no mean over media, such as spectral convergence, which compares norms of whole
    batches, is taken for one where batches accumulate.
    """

    unit = "media items"

    def count(self, batch: Tensor) -> dict[str, int]:
        return {"": len(batch)}

    def __call__(self, batch: Tensor, states: Mapping[str, Tensor]) -> list[WeightedLoss]:
        return [WeightedLoss(states[self.name], len(batch))]
