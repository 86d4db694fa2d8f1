"""The contract of a mechanism by which a denoiser is shown references."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from anymodal.decoders.references import EncodedReferences, ReferenceSlot


class ReferenceMechanism(Protocol):
    """Shows a denoiser references, in training and within its pipeline's own call alike."""

    @property
    def slots(self) -> tuple[ReferenceSlot, ...]:
        """The places that there are."""

    def beside_noise(self, references: EncodedReferences) -> AbstractContextManager[None]:
        """Show the denoiser a batch's references in every call within."""

    def takes_together(self, references: EncodedReferences) -> bool:
        """Return whether items with these references can be computed in one batch."""
