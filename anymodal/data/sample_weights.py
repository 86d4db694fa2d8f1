"""Weights of samples: by classes that come equally often, and by weights of their own."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anymodal.config import ConfigError
from anymodal.data.schemas.base import without_point


class SampleWeights(NamedTuple):
    """Weights of samples (N,), of any sum, and the numbers (N,) of their classes."""

    weights: NDArray[np.float64]
    classes: NDArray[np.int64]

    def draw(self, count: int, seed: Sequence[int]) -> NDArray[np.int64]:
        """So many samples, each as often as its weight says, rounded up or down.

        Systematic sampling: one random number for all, so that numbers of samples, and of classes,
        differ from what is expected by less than 1. Within a class the order is random, so that
        neighbours in a file aren't tied to one another.
        """
        random = np.random.default_rng(seed)
        order = random.permutation(len(self.weights))
        order = order[np.argsort(self.classes[order], kind="stable")]
        ends = np.cumsum(self.weights[order])
        places = (np.arange(count) + random.random()) * (ends[-1] / count)
        # Rounding may lead beyond the last, or to one without weight.
        last = int(np.searchsorted(ends, ends[-1]))
        draws: NDArray[np.int64] = order[
            np.minimum(np.searchsorted(ends, places, side="right"), last)
        ]
        return draws


def sample_weights(
    dataset: Any, balance: str | None, weights: str | None, place: str
) -> SampleWeights | None:
    """The weights of a data set's samples; None where all have the same.

    Args:
        dataset: with `column(name)`, a value for each sample.
        balance: the column whose values come equally often.
        weights: the column of each sample's weight; with `balance` it tells the shares within a
            class.
        place: the data set's key, for errors.

    Raises:
        ConfigError: if the data set has no such column, or a value can't be used.
    """
    if balance is None and weights is None:
        return None
    size = len(dataset)
    classes = np.zeros(size, np.int64)
    values = np.ones(size) if weights is None else _weights(dataset, weights, place)
    if balance is not None:
        column = _column(dataset, balance, place)
        classes = _classes(column)
        values = values * [value is not None for value in column]
        totals = np.bincount(classes, values)
        shares = np.divide(1, totals, out=np.zeros_like(totals), where=totals > 0)
        values = values * shares[classes]
    if not values.any():
        raise ConfigError(f"{place}: all weights in column {weights!r} are 0; give some above 0")
    return SampleWeights(values, classes)


def _column(dataset: Any, name: str, place: str) -> Sequence[object]:
    column = getattr(dataset, "column", None)
    if column is None:
        raise ConfigError(
            f"{place}, of class {type(dataset).__name__}, tells no column {name!r}; give the class "
            "a method column(name) with a value for each sample"
        )
    try:
        values: Sequence[object] = column(name)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{place}: {error.args[0] if error.args else error}") from error
    if len(values) != len(dataset):
        raise ConfigError(
            f"{place}: column({name!r}) has {len(values)} values for {len(dataset)} samples; give "
            "one for each"
        )
    return values


def _classes(values: Sequence[object]) -> NDArray[np.int64]:
    """Numbers of classes, equal where values are."""
    numbers: dict[Hashable, int] = {}
    keys = (repr(each) if isinstance(each, list | dict) else without_point(each) for each in values)
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys])


def _weights(dataset: Any, name: str, place: str) -> NDArray[np.float64]:
    weights = np.empty(len(dataset))
    for index, value in enumerate(_column(dataset, name, place)):
        if value is None:  # of a row that can't be read, which was told
            weights[index] = 0
            continue
        try:
            weights[index] = float(value)  # type: ignore[arg-type]  # CSV has texts
        except (TypeError, ValueError):
            weights[index] = math.nan
        if not 0 <= weights[index] < math.inf:
            raise ConfigError(
                f"{place}: the weight of sample {index} in column {name!r} is {value!r}; give a "
                "finite number of at least 0"
            )
    return weights
