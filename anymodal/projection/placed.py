"""Projections that combine tokens with their neighbours on a grid."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.projection.linear import masked_adaptive_pool
from anymodal.types import Features, TokenLayout


class PlacedProjection(Projection, ABC):
    """A network for each modality, of its encoder's tokens on their rows and columns.

    Class tokens and registers, which have no place, aren't read. Tokens that only follow one
    another, as a sound's, are averaged in their order to as many as give K, and stand in one row.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        places: rows and columns of the encoders' tokens.
        num_tokens: K.
        line: places of one row that give K.
        output_scale: see `Projection`.

    Raises:
        ValueError: if there are no places.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        places: Sequence[int],
        num_tokens: int,
        line: int,
        output_scale: float,
    ) -> None:
        if len(places) != 2 or min(places) < 1:
            raise ValueError(
                f"places={list(places)} give num_tokens={num_tokens}; give rows and columns, at "
                "least 1 of each"
            )
        super().__init__(
            output_width=output_width, num_tokens=num_tokens, output_scale=output_scale
        )
        self.places, self.line = tuple(places), line
        self.maps = nn.ModuleDict()
        for name, width in widths.items():
            self.add_modality(name, width)

    @abstractmethod
    def _map(self, width: int) -> nn.Module:
        """A network of tokens (B, rows, columns, D_m) to soft tokens (B, K, D_llm)."""

    def _add(self, name: str, width: int) -> None:
        self.maps[name] = self._map(width)

    def set_layout(self, name: str, layout: TokenLayout) -> None:
        if layout.grid and tuple(layout.grid) != self.places:
            raise ValueError(
                f"the encoder of {name!r} has places {list(layout.grid)} and the projection "
                f"places={list(self.places)}; give it those of the encoder, or take a projection "
                "that reads any number, such as PerceiverProjection"
            )
        super().set_layout(name, layout)

    def _project(self, modality: str, features: Features) -> Tensor:
        soft: Tensor = self.maps[modality](self._rows(modality, features))
        return soft

    def _rows(self, modality: str, features: Features) -> Tensor:
        """Tokens on their places (B, rows, columns, D_m)."""
        layout = self.layouts.get(modality, TokenLayout())
        placed = placed_tokens(modality, features, layout)
        if not layout.grid:
            return masked_adaptive_pool(placed, self.line).unsqueeze(1)
        grid: Tensor = placed.values.unflatten(1, layout.grid)
        return grid


def placed_tokens(modality: str, features: Features, layout: TokenLayout) -> Features:
    """Features without class tokens and registers, which have no place.

    Raises:
        ValueError: if nothing is left, or another number of places than the layout's.
    """
    values, mask = (part[:, layout.before :] for part in features)
    if not mask.shape[1]:
        raise ValueError(
            f"features of {modality!r} are {features.mask.shape[1]} class tokens alone, which have "
            "no place; let its encoder give patches, or take another projection, such as "
            "LinearProjection"
        )
    if layout.grid and mask.shape[1] != math.prod(layout.grid):
        raise ValueError(
            f"features of {modality!r} have {mask.shape[1]} tokens of places, and their layout "
            f"says {' × '.join(map(str, layout.grid))}"
        )
    return Features(values, mask)


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of maps (B, C, rows, columns)."""

    def forward(self, input: Tensor) -> Tensor:
        normed: Tensor = super().forward(input.movedim(1, -1))
        return normed.movedim(-1, 1)
