"""References as a part of the latents that has no noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from anymodal.decoders.mechanism import BranchWeights, FamilyReferences
from anymodal.decoders.pipeline import Network
from anymodal.decoders.references import (
    EncodedReference,
    EncodedReferences,
)


class CleanFamily(Protocol):
    """A family whose denoiser takes `hidden_states`, and a time for each of its tokens."""

    @property
    def network(self) -> Network:
        """The denoiser."""

    def spread(self, reference: EncodedReference, latents: Tensor) -> tuple[Tensor, Tensor]:
        """A reference's latents where those of an item (C, …) are, and a mask that fits them."""

    def clean_times(self, timesteps: Tensor, known: Tensor) -> dict[str, Tensor]:
        """The denoiser's arguments that tell times, 0 where a mask (B, …) of latents is true."""


class CleanReferences(FamilyReferences[CleanFamily]):
    """Puts references in the place of noise: latents that are known, at timestep 0.

    What comes out there is dropped, and carries no loss.

    Source: Wan 2.2 TI2V-5B (https://github.com/Wan-Video/Wan2.2), whose first frame it is; that
    frames have timesteps of their own is diffusion forcing (Chen et al. 2024, arXiv:2407.01392).
    """

    def takes_together(self, references: EncodedReferences) -> bool:
        """Return True: items without references have noise in their place."""
        return True

    def keep(self, latents: Tensor, references: EncodedReferences) -> Tensor:
        """Latents (B, C, …) with the references in their places."""
        values, mask = self._places(references, latents)
        return torch.where(mask, values, latents)

    def loss_mask(self, references: EncodedReferences, latents: Tensor) -> Tensor | None:
        """Where latents carry a loss (B, …): everywhere but in the references' places."""
        if not any(references):
            return None
        return ~self._places(references, latents)[1]

    @contextmanager
    def beside_noise(
        self, references: EncodedReferences, weights: BranchWeights | None = None
    ) -> Iterator[None]:
        """Show the denoiser references in every call within."""
        if not any(references):
            yield
            return

        def add(
            _module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            noisy, timesteps = keywords["hidden_states"], keywords["timestep"]
            copies = len(noisy) // len(references)  # those of guidance
            values, mask = self._places(list(references) * copies, noisy)
            clean = {"hidden_states": torch.where(mask, values, noisy)}
            return inputs, keywords | clean | self.family.clean_times(timesteps, mask)

        network: Any = self.family.network
        hook = network.register_forward_pre_hook(add, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def _places(self, references: EncodedReferences, like: Tensor) -> tuple[Tensor, Tensor]:
        """The references' latents (B, C, …) where they belong, and a mask like them of that."""
        values = torch.zeros_like(like)
        mask = torch.zeros_like(like, dtype=torch.bool)
        for row, item in enumerate(references):
            for reference in item:
                latents, places = self.family.spread(reference, like[row])
                values[row] = torch.where(places.bool(), latents, values[row])
                mask[row] |= places.bool()
        return values, mask
