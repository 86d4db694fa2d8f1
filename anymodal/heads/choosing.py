"""GILL's head: what to make, what to find, and which of the two."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from anymodal.heads.mapper import MapperHead
from anymodal.types import ConditioningSpec


class ChoosingHead(MapperHead):
    """A mapper, with the embedding to look for and the choice between both beside it.

    The two are linear in the hidden state of the first signal, and stand in the pooled
    conditioning: what the maker takes itself, the embedding, and logits of making and of finding.

    Source: Koh et al. 2023 (GILL), arXiv:2305.17216, sections 3.2 and 3.3.

    Args:
        input_width: D.
        num_signal_tokens: S.
        spec: of a `ChoosingDecoder`.
        made_pooled: the width of the maker's own pooled conditioning; 0 where it takes none.
        dropout: of the state that the choice is made by, while it trains.
        hidden_width, depth, heads: as of `MapperHead`.

    Raises:
        ValueError: the spec has no room for an embedding and a choice.
    """

    def __init__(
        self,
        *,
        input_width: int,
        num_signal_tokens: int,
        spec: ConditioningSpec,
        made_pooled: int = 0,
        dropout: float = 0.5,
        hidden_width: int = 512,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        found_width = (spec.pooled or 0) - made_pooled - NUM_CHOICES
        if found_width < 1:
            raise ValueError(
                f"this head gives an embedding and {NUM_CHOICES} logits in the pooled conditioning "
                f"beside made_pooled={made_pooled}, and the decoder takes {spec.pooled}; give it a "
                "ChoosingDecoder, or take a MapperHead"
            )
        super().__init__(
            input_width=input_width,
            num_signal_tokens=num_signal_tokens,
            spec=dataclasses.replace(spec, pooled=made_pooled or None),
            hidden_width=hidden_width,
            depth=depth,
            heads=heads,
        )
        self.spec = spec
        self.found = nn.Linear(input_width, found_width)
        self.dropout = nn.Dropout(dropout)
        self.decision = nn.Linear(input_width, NUM_CHOICES)

    def _pooled(self, hidden: Tensor) -> Tensor:
        own, first = super()._pooled(hidden), hidden[:, 0]
        parts = [] if own is None else [own]
        return torch.cat([*parts, self.found(first), self.decision(self.dropout(first))], 1)


NUM_CHOICES = 2
"""To make a medium, and to find one, in this order."""
