"""The optimiser step under way: its losses weighed, and told to the host once, at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from anymodal.config import ConfigError
from anymodal.distributed import collectives
from anymodal.training.losses import WeightedLoss
from anymodal.training.source_losses import SourceLosses

Counts = Mapping[str, Mapping[str, int]]
"""Numbers of things that parts of losses are means over."""


def sum_counts(counts: Iterable[Counts]) -> dict[str, dict[str, int]]:
    """Counts of several batches together."""
    total: dict[str, dict[str, int]] = {}
    for each in counts:
        for name, parts in each.items():
            sums = total.setdefault(name, {})
            for part, count in parts.items():
                sums[part] = sums.get(part, 0) + count
    return total


class StepReport(NamedTuple):
    """An optimiser step's outcome, over all processes.

    Args:
        figures: each loss that something was counted for.
        loss: their weighted sum.
        bad: places, among all micro-batches of all processes in order, whose loss isn't finite.
        norm: of the gradient.
        flags: sums over processes of the further flags.
        source_sums: sum and weight of each loss of each data set of a mixture, by their names.
        side_figures: means that losses have beside themselves, by their names in the log.
    """

    figures: dict[str, float]
    loss: float
    bad: list[int]
    norm: float
    flags: list[float]
    source_sums: dict[str, tuple[float, float]]
    side_figures: dict[str, float] = {}


class Step:
    """Weighs the losses of an optimiser step's micro-batches, and keeps them on their device.

    A loss is a mean over things, of which a micro-batch has n, and all A micro-batches of the step
    have N in all P processes. Lightning divides the gradients of micro-batches by A, and DDP and
    FSDP those of processes by P, so a mean multiplied by A·P·n/N counts as it would in one batch
    of everything.

    The host learns nothing until `end`, which waits for the device once.

    Args:
        weights: of each loss, by name.
        size: A, micro-batches in a step.
        side_figures: names of the means that a loss has beside itself, by its name.

    Attributes:
        sources: names of the data sets of a mixture, whose losses are told apart.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        size: int,
        side_figures: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self.weights, self.size = dict(weights), size
        self.side_figures = {name: tuple(figures) for name, figures in side_figures.items()}
        self.side_means: dict[tuple[str, str], Tensor] = {}
        self.device = torch.device("cpu")
        self.totals: dict[tuple[str, str], int | Tensor] = {}  # N, by loss and part
        self.figures: dict[str, Tensor] = {}
        self.totals_of_batches: list[Tensor | None] = []
        self.sources: tuple[str, ...] = ()
        self.source_losses = SourceLosses((), (), self.device)

    def begin(self, counts: Counts, device: torch.device) -> None:
        """Begin a step that has so many things in this process."""
        self.device, self.figures, self.totals_of_batches = device, {}, []
        self.side_means = {}
        own = {(name, part): n for name, parts in counts.items() for part, n in parts.items()}
        self.totals = dict(own)
        self.source_losses = SourceLosses(self.sources, own, device)
        if collectives.world_size() > 1:
            # Stays on the device: these totals are factors there, and read at the step's end.
            numbers = torch.tensor(list(own.values())).to(device, non_blocking=True)
            self.totals = dict(zip(own, collectives.all_reduce_sum(numbers).unbind(), strict=True))

    def add(
        self, losses: Mapping[str, Sequence[WeightedLoss]], source_numbers: Sequence[int] = ()
    ) -> Tensor | None:
        """A micro-batch's part in the step's loss; None if it has none.

        Args:
            losses: of the batch, by name.
            source_numbers: of each sample of the batch, the number of its data set in a mixture.
        """
        terms = []
        for name, parts in losses.items():
            terms_of_loss = [p.value * self._share(name, p) for p in parts if p.value is not None]
            for part in parts:
                if source_numbers and part.items is not None:
                    self.source_losses.add((name, part.part), part.items, source_numbers)
                if part.figures is not None:
                    means = part.figures.detach().float() * self._share(name, part)
                    before = self.side_means.get((name, part.part))
                    self.side_means[name, part.part] = means if before is None else before + means
            if not terms_of_loss:
                continue
            value = sum(terms_of_loss[1:], terms_of_loss[0])
            terms.append(self.weights[name] * value)
            figure = value.detach().float()
            self.figures[name] = self.figures[name] + figure if name in self.figures else figure
        total = torch.stack(terms).sum() if terms else None
        self.totals_of_batches.append(None if total is None else total.detach())
        return total

    def _share(self, name: str, part: WeightedLoss) -> float | Tensor:
        """A·P·n/N."""
        total = self.totals.get((name, part.part))
        if total is None:
            raise ConfigError(
                f"the loss {name!r} gives a part {part.part!r} that its count() leaves out"
            )
        factor = self.size * collectives.world_size() * part.over
        # Over at least 1, so that a loss of nothing is 0 and not NaN.
        return factor / (max(total, 1) if isinstance(total, int) else total.clamp(min=1))

    def end(self, norm: Tensor, flags: Tensor) -> StepReport:
        """The step's outcome; this is where the host waits for the device.

        Args:
            norm: of the gradient over all processes.
            flags: (F,), of this process, such as which parameters had a gradient.
        """
        count, names = collectives.world_size(), list(self.weights)
        zero = torch.zeros((), device=self.device)
        figures = torch.stack([self.figures.get(name, zero) for name in names])
        bad = torch.zeros(len(self.totals_of_batches), count, device=self.device)
        for row, total in enumerate(self.totals_of_batches):
            if total is not None:
                # Other processes' columns stay 0, so that the sum below is a table of all.
                bad[row, collectives.rank()] = ~total.isfinite()
        own = torch.cat(
            [
                figures,
                bad.flatten(),
                flags.to(self.device, torch.float32),
                (of_sources := self.source_losses.table()).to(self.device),
                side := self._side_table(),
            ]
        )
        table = collectives.all_reduce_sum(own)
        totals = [each for each in self.totals.values() if isinstance(each, Tensor)]
        step_values = [norm.detach().to(self.device).float(), *totals]
        host_values: list[float] = torch.cat([table, torch.stack(step_values).float()]).tolist()
        sums, bad_flags, other_flags, source_sums, side_sums, step_numbers = _split(
            host_values,
            (len(names), bad.numel(), len(flags), len(of_sources), len(side), len(step_values)),
        )
        norm_value, *host_totals = step_numbers
        counts = dict(zip(self.totals, host_totals, strict=True)) if host_totals else self.totals
        there = {name for (name, _), total in counts.items() if total}
        values = {n: v / self._divisor for n, v in zip(names, sums, strict=True) if n in there}
        loss = sum(self.weights[name] * value for name, value in values.items())
        return StepReport(
            values,
            loss,
            [i for i, flag in enumerate(bad_flags) if flag],
            norm_value,
            other_flags,
            self.source_losses.read(source_sums),
            self._side_figures(side_sums, counts),
        )

    @property
    def _side_keys(self) -> list[tuple[str, str]]:
        """Losses with further figures and their parts, in the same order in every process."""
        return [key for key in self.totals if self.side_figures.get(key[0])]

    def _side_table(self) -> Tensor:
        """All further figures in a row, to be added up over processes."""
        rows = []
        for key in self._side_keys:
            zeros = torch.zeros(len(self.side_figures[key[0]]), device=self.device)
            rows.append(self.side_means.get(key, zeros))
        return torch.cat(rows) if rows else torch.zeros(0, device=self.device)

    def _side_figures(
        self, sums: Sequence[float], counts: Mapping[tuple[str, str], object]
    ) -> dict[str, float]:
        """The further figures that there is something of, by their names in the log."""
        names = [(key, figure) for key in self._side_keys for figure in self.side_figures[key[0]]]
        return {
            "/".join(each for each in (*key, figure) if each): value / self._divisor
            for (key, figure), value in zip(names, sums, strict=True)
            if counts[key]
        }

    @property
    def _divisor(self) -> int:
        """A·P, by which the shares of a mean are too large."""
        return self.size * collectives.world_size()


def _split(values: Sequence[float], sizes: Sequence[int]) -> list[list[float]]:
    """Consecutive pieces of some sizes."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(list(values[start : start + size]))
        start += size
    return pieces
