"""The contract of a loss, and losses from a stage's settings."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor

from anymodal.config import ConfigError, check_arguments, shorten, suggest

FEATURES = "features"
CAPTION_CONDITIONING = "caption conditioning"
LATENTS = "latents"
CHOICES = "choices between making and finding"
LOG_PROBS = "log-probabilities of replies"
REFERENCE_LOG_PROBS = "the reference's log-probabilities of replies"
MEDIA_ERRORS = "denoising errors of pairs of media"
PAIR_MARGINS = "margins between the scores of pairs"

LossSettings = Mapping[str, float | Mapping[str, object]]
"""A stage's losses by name: a weight, or a mapping of arguments, the weight among them."""

BatchT = TypeVar("BatchT", contravariant=True)
StatesT = TypeVar("StatesT", contravariant=True)


class ItemLosses(NamedTuple):
    """The losses that a mean is of, for means over some of a batch's samples.

    Args:
        values: losses (N,), without a graph.
        samples: numbers (N,) of the samples in the batch that they are of, on the CPU.
        weights: what each counts (N,), on the CPU; None where all count alike.
    """

    values: Tensor
    samples: Tensor
    weights: Tensor | None = None


class WeightedLoss(NamedTuple):
    """A mean over `over` things of a batch; None where there are none.

    `part` tells the means of one loss apart, such as those of several modalities: each is a mean
    of its own, and the loss is their sum. `items` are the losses of the things, where a loss has
    them, for the figures of a mixture's data sets. `figures` (F,) are further means over the same
    things, without a graph, in the order of the loss's own `figures`.
    """

    value: Tensor | None
    over: int
    part: str = ""
    items: ItemLosses | None = None
    figures: Tensor | None = None


class Loss(ABC, Generic[BatchT, StatesT]):
    """One of the terms that a stage minimises.

    Args:
        weight: factor on it in the sum.

    Raises:
        ConfigError: for a weight that isn't finite, or below 0.

    Attributes:
        name: what the stage calls it.
        needs: which results of frozen parts it is computed from, so that a run computes no others.
        unit: what it is a mean over, for messages.
        is_default: whether an objective computes it until a stage chooses; False for a loss that
            only some models have.
        figures: names of further means that are logged beside it, as `NAME/FIGURE`.
    """

    name: str = ""
    needs: frozenset[str] = frozenset()
    unit: str = "items"
    is_default: bool = True
    figures: tuple[str, ...] = ()

    def __init__(self, weight: float = 1.0) -> None:
        check_weight(weight, "weight")
        self.weight = weight

    @abstractmethod
    def count(self, batch: BatchT) -> dict[str, int]:
        """Numbers of things that the loss's parts are means over; every part, empty or not.

        Asked before the batch's step begins, so it reads no tensor on a device.
        """

    @abstractmethod
    def __call__(self, batch: BatchT, states: StatesT) -> list[WeightedLoss]:
        """The loss's parts, `over` as many things as `count` says."""


def check_weight(weight: object, place: str) -> None:
    """Refuse what can't weigh a loss.

    Raises:
        ConfigError: naming the place, the value and what it may be.
    """
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ConfigError(f"{place} must be float, not {shorten(weight)}")
    if not (math.isfinite(weight) and weight >= 0):
        raise ConfigError(f"{place} must be a finite number of at least 0, not {shorten(weight)}")


def build_losses(
    settings: LossSettings, classes: Mapping[str, type[Loss[Any, Any]]], place: str = "stage.losses"
) -> dict[str, Loss[Any, Any]]:
    """Losses by name: `{text: 1, align: {weight: 0.5, kind: l2}}`.

    Args:
        settings: by name, a weight or a mapping of arguments.
        classes: of losses, by name.
        place: where the settings stand, for messages.

    Raises:
        ConfigError: for an unknown loss or argument, with the nearest right one, or a wrong value.
    """
    losses = {}
    for name, setting in settings.items():
        if name not in classes:
            raise ConfigError(f"{place}: there is no loss {name!r}{suggest(name, classes)}")
        here = f"{place}.{name}"
        if not isinstance(setting, Mapping):
            check_weight(setting, here)
            setting = {"weight": setting}
        check_arguments(classes[name], setting, here)
        kind: Any = classes[name]  # whose arguments were checked
        losses[name] = kind(**setting)
        losses[name].name = name
    return losses


def needs_of(losses: Iterable[Loss[Any, Any]]) -> frozenset[str]:
    """The results of frozen parts that some losses are computed from."""
    return frozenset().union(*(loss.needs for loss in losses))
