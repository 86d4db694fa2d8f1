"""References in an argument of a denoiser's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


class HintFamily(Protocol):
    """A family whose denoiser is told what is known of its output in an argument of its own.

    Attributes:
        hint_argument: its name.
    """

    hint_argument: str

    @property
    def network(self) -> Network:
        """The denoiser."""

    def hint(self, references: Sequence[EncodedReference], latents: Tensor) -> Tensor:
        """The argument's value for an item's latents, with its references, at least one."""


class HintedReferences(FamilyReferences[HintFamily]):
    """Shows a denoiser what is known of its output, and where, beside the noise.

    Source: ACE-Step 1.5 (https://github.com/ace-step/ACE-Step-1.5) and Stable Audio 3
    (https://arxiv.org/abs/2605.17991), which were trained so.
    """

    def takes_together(self, references: EncodedReferences) -> bool:
        """Return whether all items have references, or none has: none isn't the same as zeros."""
        return len({bool(item) for item in references}) == 1

    @contextmanager
    def beside_noise(
        self, references: EncodedReferences, weights: BranchWeights | None = None
    ) -> Iterator[None]:
        """Tell the denoiser of references in every call within."""
        if not any(references):
            yield
            return

        def add(
            _module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            noisy = inputs[0] if inputs else keywords["hidden_states"]
            copies = len(noisy) // len(references)  # those of guidance
            pairs = zip(list(references) * copies, noisy, strict=True)
            hints = torch.stack([self.family.hint(item, row) for item, row in pairs])
            return inputs, {**keywords, self.family.hint_argument: hints}

        network: Any = self.family.network
        hook = network.register_forward_pre_hook(add, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()
