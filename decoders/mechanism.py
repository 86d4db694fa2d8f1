"""The contract of a mechanism by which a denoiser is shown references."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

from anymodal.decoders.references import EncodedReferences, ReferenceSlot, choose_slots

F = TypeVar("F")


class BranchWeights(NamedTuple):
    """Weights of guidance in three branches: away from no caption, and away from no references."""

    text: float
    references: float


class ReferenceMechanism(ABC):
    """Shows a denoiser references, in training and within its pipeline's own call alike.

    Attributes:
        slots: the places that there are.
        three_branches: whether guidance can lead away from references as it does from captions.
        own_size: whether references have latents of a size of their own.
    """

    slots: tuple[ReferenceSlot, ...]
    three_branches: bool = False
    own_size: bool = False

    @abstractmethod
    def beside_noise(
        self, references: EncodedReferences, weights: BranchWeights | None = None
    ) -> AbstractContextManager[None]:
        """Show the denoiser a batch's references in every call within.

        Args:
            references: a list for each item.
            weights: of guidance in three branches, where there are such; None for two branches
                that see the same references.
        """

    @abstractmethod
    def takes_together(self, references: EncodedReferences) -> bool:
        """Return whether items with these references can be computed in one batch."""

    def keep(self, latents: Tensor, references: EncodedReferences) -> Tensor:
        """Latents of a step (B, C, …) with what references say of them."""
        return latents

    def loss_mask(self, references: EncodedReferences, latents: Tensor) -> Tensor | None:
        """Where latents (B, C, …) carry a loss, in a shape that fits them; None for everywhere."""
        return None


class FamilyReferences(ReferenceMechanism, Generic[F]):
    """A mechanism whose denoiser was trained for references, so that only roles are chosen.

    Args:
        family: whose denoiser it is.
        slots: those that it may have, by role.
        roles: those in use.

    Raises:
        ValueError: a role that there is no slot of.
    """

    def __init__(self, family: F, slots: Mapping[str, ReferenceSlot], roles: Sequence[str]) -> None:
        self.family = family
        self.slots = choose_slots(slots, roles)
