"""Media that modules around a language model's blocks read, beside what stands in its rows.

They travel with keys and values (`kv_cache.FusedCache`), so that what is decoded later, or joins a
batch, sees them still.

Shapes: B rows, T positions of a pass, M media of the row with most, N states of the medium with
most, W width of states, U runs of the row with most.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache

ABSENT = 1 << 40
"""The place of a medium that isn't there: behind every position."""

Made = tuple[Tensor, ...]
"""What a layer makes of states, such as keys and values: (N, …) of one, (B, M, N, …) of all."""


@dataclass(frozen=True, eq=False)
class FusedMedium:
    """A medium in a row.

    Args:
        place: of the first position that it takes in its row.
        states: what modules read of it (N, W); None where they need its place alone.
        runs: first place and number of the positions in its row that are its own; texts may mark
            what is between two of them.
        made: what each layer has made of the states, without a graph.
    """

    place: int
    states: Tensor | None = None
    runs: Sequence[tuple[int, int]] = ()
    made: dict[Hashable, Made] = field(default_factory=dict)


class FusedMedia:
    """The media of a batch's rows.

    Args:
        rows: the media of each row, in order.
        device: of the language model.
    """

    def __init__(self, rows: Sequence[Sequence[FusedMedium]], device: torch.device) -> None:
        self.rows, self.device = [list(row) for row in rows], device
        self._made: dict[Hashable, Made] = {}

    @property
    def longest(self) -> int:
        """M."""
        return max(map(len, self.rows), default=0)

    @cached_property
    def places(self) -> Tensor:
        """Of media (B, M), `ABSENT` where a row has none."""
        return self._numbers([[each.place for each in row] for row in self.rows], ABSENT)

    @cached_property
    def runs(self) -> tuple[Tensor, Tensor]:
        """First places of media's own positions that follow one another, and the places behind the
        last (B, U); `ABSENT` where a row has none.
        """
        rows = [[run for each in row for run in each.runs] for row in self.rows]
        firsts = [[first for first, _ in row] for row in rows]
        behind = [[first + count for first, count in row] for row in rows]
        return self._numbers(firsts, ABSENT), self._numbers(behind, ABSENT)

    @cached_property
    def states(self) -> Tensor:
        """States (B, M, N, W), zeros where there are none."""
        return self._pad([[each.states for each in row] for row in self.rows])

    @cached_property
    def mask(self) -> Tensor:
        """Which states are real (B, M, N)."""
        counts = [
            [0 if each.states is None else len(each.states) for each in row] for row in self.rows
        ]
        numbers = self._numbers(counts, 0)  # (B, M)
        longest = max((count for row in counts for count in row), default=0)
        return torch.arange(longest, device=self.device) < numbers.unsqueeze(-1)

    def made_by(self, layer: Hashable, make: Callable[[Tensor], Made]) -> Made:
        """What a layer makes of the states; computed once, where no graph is wanted.

        Args:
            layer: identifies it.
            make: states (…, N, W) to tensors (…, N, …).
        """
        if torch.is_grad_enabled():
            return make(self.states)
        if layer not in self._made:
            media = [each for row in self.rows for each in row]
            for each in media:
                if layer not in each.made:
                    assert each.states is not None, "a layer that makes something reads states"
                    each.made[layer] = make(each.states)
            count = len(media[0].made[layer])
            self._made[layer] = tuple(
                self._pad([[each.made[layer][part] for each in row] for row in self.rows])
                for part in range(count)
            )
        return self._made[layer]

    @property
    def nbytes(self) -> int:
        """Bytes of states and of what layers have made of them."""
        media = [each for row in self.rows for each in row]
        groups = [made for each in media for made in each.made.values()] + [*self._made.values()]
        tensors = [tensor for group in groups for tensor in group]
        tensors += [each.states for each in media if each.states is not None]
        return sum(tensor.nbytes for tensor in tensors)

    def select(self, rows: Sequence[int]) -> FusedMedia:
        """The media of some rows, or of some of them several times."""
        return FusedMedia([self.rows[row] for row in rows], self.device)

    def _numbers(self, rows: Sequence[Sequence[int]], filling: int) -> Tensor:
        longest = max(map(len, rows), default=0)
        padded = [[*row, *[filling] * (longest - len(row))] for row in rows]
        numbers = torch.tensor(padded, dtype=torch.long, device=self.device)
        return numbers.view(len(rows), longest)

    def _pad(self, rows: Sequence[Sequence[Tensor | None]]) -> Tensor:
        """Tensors (N, …) of media as one (B, M, N, …)."""
        real = [each for row in rows for each in row if each is not None]
        longest, none = max(map(len, real)), real[0][:0]
        padded = [
            [_lengthen(none if each is None else each, longest) for each in row]
            + [_lengthen(none, longest)] * (self.longest - len(row))
            for row in rows
        ]
        return torch.stack([torch.stack(row) for row in padded])


def _lengthen(states: Tensor, length: int) -> Tensor:
    """States (N, …) with zeros behind them (length, …)."""
    return F.pad(states, (*(0, 0) * (states.ndim - 1), 0, length - len(states)))


def join_media(parts: Sequence[tuple[FusedMedia | None, int]]) -> FusedMedia | None:
    """The media of several batches one below the other; None where none has any.

    Args:
        parts: of each batch, with its number of rows.
    """
    device = next((each.device for each, _ in parts if each is not None), None)
    if device is None:
        return None
    rows: list[list[FusedMedium]] = []
    for each, count in parts:
        rows += each.rows if each is not None else [[] for _ in range(count)]
    return FusedMedia(rows, device)


@dataclass(frozen=True, eq=False)
class FusionPass:
    """One pass of a language model, as modules around its blocks see it.

    Args:
        media: of its rows; None where there are none.
        places: of the pass's positions in their rows (1 or B, T), in which the media's are counted.
        starts: places where each position's sequence begins (1 or B, T); a row may hold several.
    """

    media: FusedMedia | None
    places: Tensor
    starts: Tensor
    _memo: dict[bool, tuple[Tensor, Tensor] | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        media: FusedMedia | None,
        columns: tuple[int, torch.device],
        attention_mask: Tensor | None,
        past: Cache | None,
        positions: Tensor | None,
    ) -> Self:
        """The pass of a language model's `forward` with these arguments.

        Args:
            media: of its rows.
            columns: T, and the device.
            attention_mask: (B, past + T).
            past: a cache of keys and values.
            positions: (B, T), of sequences that may share a row; or (1 + A, B, T), see `forward`.
        """
        length, device = columns
        places = torch.arange(length, device=device)[None]
        starts = torch.zeros_like(places)
        if attention_mask is not None:
            places = (attention_mask.long().cumsum(-1) - 1)[:, -length:]
        elif past is not None:
            places = places + int(past.get_seq_length())
        elif positions is not None:
            starts = places - (positions[0] if positions.ndim == 3 else positions)
        return cls(media, places, starts)

    @property
    def has_media(self) -> bool:
        """Whether any row has any."""
        return self.media is not None and self.media.longest > 0

    def visible(self, latest: bool) -> Tensor:
        """Which media of its own sequence a position comes after, or begins (B, T, M).

        Args:
            latest: the last of them alone.
        """
        assert self.media is not None, "there are media"
        media = self.media.places.unsqueeze(1)  # (B, 1, M)
        seen = (media <= self.places.unsqueeze(-1)) & (media >= self.starts.unsqueeze(-1))
        if not latest:
            return seen
        last = torch.where(seen, media, -1).amax(-1, keepdim=True)  # (B, T, 1)
        return seen & (media == last)

    def inside(self, without_last: bool = False) -> tuple[Tensor, Tensor] | None:
        """Rows and columns (n,) of the pass's positions that are a medium's own; None without any.

        Args:
            without_last: not the last of those that follow one another.
        """
        if without_last not in self._memo:  # the host waits for it once a pass, not in each layer
            pair = None
            if self.has_media:
                rows, columns = self._inside(without_last).nonzero(as_tuple=True)
                pair = (rows, columns) if len(rows) else None
            self._memo[without_last] = pair
        return self._memo[without_last]

    def _inside(self, without_last: bool) -> Tensor:
        """Which positions are a medium's own (B, T)."""
        assert self.media is not None, "there are media"
        first, behind = (each.unsqueeze(1) for each in self.media.runs)  # (B, 1, U)
        places = self.places.unsqueeze(-1)
        return ((places >= first) & (places < behind - int(without_last))).any(-1)
