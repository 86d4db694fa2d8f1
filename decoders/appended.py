"""References behind the tokens of a denoiser's input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from anymodal.decoders.mechanism import BranchWeights, FamilyReferences
from anymodal.decoders.pipeline import Network
from anymodal.decoders.references import (
    EncodedReference,
    EncodedReferences,
)


class ReferenceTokens(NamedTuple):
    """References of one item as tokens (n, C), and their places, in the family's own terms."""

    tokens: Tensor
    places: Any


class TokenFamily(Protocol):
    """A family whose denoiser takes `hidden_states` (B, N, C), and is told their places."""

    @property
    def network(self) -> Network:
        """The denoiser."""

    def reference_tokens(self, references: Sequence[EncodedReference]) -> ReferenceTokens:
        """The references of one item, at least one."""

    def place_references(
        self, keywords: Mapping[str, Any], items: Sequence[ReferenceTokens], copies: int
    ) -> dict[str, Any]:
        """The denoiser's arguments that tell places, with those of each item's references.

        Args:
            keywords: the arguments without.
            items: of the batch.
            copies: how often the batch is in one call, as guidance may have it.
        """


class AppendedReferences(FamilyReferences[TokenFamily]):
    """Shows a denoiser references as further tokens, whose output is dropped.

    Source: Labs et al. 2025 (FLUX.1 Kontext, arXiv:2506.15742), section 3.
    """

    own_size = True

    def takes_together(self, references: EncodedReferences) -> bool:
        """Return whether all items have references of the same number and shapes."""
        return len({tuple(each.latents.shape for each in item) for item in references}) == 1

    @contextmanager
    def beside_noise(
        self, references: EncodedReferences, weights: BranchWeights | None = None
    ) -> Iterator[None]:
        """Show the denoiser references of the same number and shapes in every call within."""
        if not any(references):
            yield
            return
        items = [self.family.reference_tokens(item) for item in references]
        tokens = torch.stack([item.tokens for item in items])  # (B, n, C)
        count = 0

        def add(
            _module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            nonlocal count
            noisy = keywords["hidden_states"]
            copies, count = len(noisy) // len(references), noisy.shape[1]
            further = {
                "hidden_states": torch.cat([noisy, tokens.to(noisy).repeat(copies, 1, 1)], 1),
                **self.family.place_references(keywords, items, copies),
            }
            return inputs, keywords | further

        def cut(_module: nn.Module, _inputs: object, output: Any) -> Any:
            own = output[0][:, :count]
            return (own, *output[1:]) if isinstance(output, tuple) else type(output)(sample=own)

        network: Any = self.family.network
        hooks = [
            network.register_forward_pre_hook(add, with_kwargs=True),
            network.register_forward_hook(cut),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
