"""Held-out losses: an objective's own, without a gradient, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from anymodal.distributed import collectives
from anymodal.io.feature_cache import FeatureCache
from anymodal.training.batches import seed_all
from anymodal.training.losses import WeightedLoss
from anymodal.training.objectives import Objective
from anymodal.training.validation.batches import HeldOutBatch
from anymodal.training.validation.configuration import LOSS

Losses = Mapping[str, Iterable[WeightedLoss]]
"""A batch's losses, each in parts."""
SumKey = tuple[str, str, str]
"""A loss's name, the part of it, and the figure beside it, if it is one."""
Context = Callable[[], AbstractContextManager[object]]


class LossSums:
    """Sums of losses and of the things that they are means over, over batches and processes.

    Args:
        weights: of the losses, by name.
        side_figures: names of the means that a loss has beside itself, by its name.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        side_figures: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self.weights, self.side_figures = dict(weights), dict(side_figures)
        self.sums: dict[SumKey, tuple[float, int]] = {}

    def add(self, losses: Mapping[str, Iterable[WeightedLoss]]) -> None:
        """Add the losses of a batch."""
        for name, parts in losses.items():
            for each in parts:
                if each.value is not None and each.over:
                    self._add((name, each.part, ""), each.value.item() * each.over, each.over)
                if each.figures is not None and each.over:
                    figures = zip(self.side_figures[name], each.figures.tolist(), strict=True)
                    for figure, value in figures:
                        self._add((name, each.part, figure), value * each.over, each.over)

    def _add(self, key: SumKey, value: float, over: int) -> None:
        total, count = self.sums.get(key, (0.0, 0))
        self.sums[key] = total + value, count + over

    def gather(self) -> None:
        """Add up the sums of all processes, which must all call this."""
        every_sum = collectives.all_gather_object(self.sums)
        self.sums = {}
        for sums in every_sum:
            for key, (value, over) in sums.items():
                self._add(key, value, over)

    def means(self) -> dict[str, float]:
        """`loss`, weighted as in training, and `loss/NAME` of each that there was something of,
        with the figures beside it as `NAME/FIGURE`.
        """
        means: dict[str, float] = {}
        figures: dict[str, float] = {}
        for (name, part, figure), (total, over) in sorted(self.sums.items()):
            if figure:
                figures["/".join(each for each in (name, part, figure) if each)] = total / over
            else:
                means[name] = means.get(name, 0.0) + total / over
        if not means:
            return {}
        loss = sum(self.weights[name] * mean for name, mean in means.items())
        return {LOSS: loss, **{f"{LOSS}/{name}": mean for name, mean in means.items()}, **figures}


def held_out_losses(
    objective: Objective[Any, Any],
    batches: Iterable[HeldOutBatch],
    seed: int,
    precision: Context,
    stops: Callable[[], bool] = lambda: False,
    forward: Callable[[Any], Losses] | None = None,
) -> tuple[dict[str, float], dict[int, str]]:
    """The losses over some batches, and the errors of this process's samples that were left out.

    Args:
        objective: computes them.
        batches: of this process.
        seed: of what a batch draws, such as noise: the same at every validation.
        precision: the context in which the model computes.
        stops: whether to stop early; the losses are then of nothing.
        forward: computes a batch's losses; the objective's own forward where None.
    """
    sums = LossSums(
        {name: loss.weight for name, loss in objective.losses.items()},
        {name: loss.figures for name, loss in objective.losses.items()},
    )
    errors: dict[int, str] = {}
    for number, (batch, batch_errors, counts) in enumerate(batches):
        if stops():
            return {}, errors
        errors |= batch_errors
        if _any_process(batch is None):  # else one would wait for another within a loss
            continue
        seed_all(seed, number * collectives.world_size() + collectives.rank())
        with precision(), torch.no_grad():
            losses = (forward or objective)(batch)
        if counts:
            sums.add(losses)
    sums.gather()
    return sums.means(), errors


def _any_process(flag: bool) -> bool:
    return bool(collectives.all_reduce_sum(torch.tensor(int(flag))))


@contextmanager
def validating(objective: Objective[Any, Any], cache: FeatureCache | None) -> Iterator[None]:
    """Within it a model evaluates; what a run computes afterwards is as if it had not.

    Args:
        objective: whose model is meant.
        cache: of results of frozen parts, in place of the run's own: a result that is computed in
            another batch may be rounded otherwise.
    """
    modes = [(module, module.training) for module in objective.model.modules()]
    own_cache, objective.feature_cache = objective.feature_cache, cache
    # Of torch, NumPy, Python and the accelerators, for whatever draws between two batches.
    with isolate_rng():
        objective.model.eval()
        try:
            yield
        finally:
            objective.feature_cache = own_cache
            for module, mode in modes:
                module.training = mode
