"""References behind the tokens of a denoiser's input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from anymodal.decoders.pipeline import Network
from anymodal.decoders.references import EncodedReference, EncodedReferences, ReferenceSlot


class ReferenceTokens(NamedTuple):
    """References of one item as tokens (n, C), and their places (n, axes)."""

    tokens: Tensor
    places: Tensor


class TokenFamily(Protocol):
    """A family whose denoiser takes `hidden_states` and their places as `img_ids`."""

    @property
    def network(self) -> Network:
        """The denoiser."""

    def reference_tokens(self, references: Sequence[EncodedReference]) -> ReferenceTokens:
        """The references of one item, at least one."""


class AppendedReferences:
    """Shows a denoiser references as further tokens, whose output is dropped.

    Source: Labs et al. 2025 (FLUX.1 Kontext, arXiv:2506.15742), section 3.

    Args:
        family: whose denoiser it is.
        slots: those that it may have, by role.
        roles: those in use.

    Raises:
        ValueError: a role that there is no slot of.
    """

    def __init__(
        self, family: TokenFamily, slots: Mapping[str, ReferenceSlot], roles: Sequence[str]
    ) -> None:
        if unknown := [role for role in roles if role not in slots]:
            raise ValueError(
                f"references={list(roles)}, and this pipeline takes {', '.join(slots)}; leave out "
                f"{unknown[0]!r}"
            )
        self.family = family
        self.slots = tuple(slots[role] for role in dict.fromkeys(roles))

    def takes_together(self, references: EncodedReferences) -> bool:
        """Return whether all items have references of the same number and shapes."""
        return len({tuple(each.latents.shape for each in item) for item in references}) == 1

    @contextmanager
    def beside_noise(self, references: EncodedReferences) -> Iterator[None]:
        """Show the denoiser references of the same number and shapes in every call within."""
        if not any(references):
            yield
            return
        items = [self.family.reference_tokens(item) for item in references]
        tokens = torch.stack([item.tokens for item in items])  # (B, n, C)
        places = torch.stack([item.places for item in items])  # (B, n, axes)

        def add(
            _module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            noisy, own = keywords["hidden_states"], keywords["img_ids"]
            copies = len(noisy) // len(references)
            further = {
                "hidden_states": torch.cat([noisy, tokens.to(noisy).repeat(copies, 1, 1)], 1),
                "img_ids": torch.cat([own, places.to(own).repeat(copies, 1, 1)], 1),
            }
            return inputs, keywords | further

        network: Any = self.family.network
        hook = network.register_forward_pre_hook(add, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()
