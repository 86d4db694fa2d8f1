"""Settings of a mixture: how many samples of each data set an epoch has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, TypeVar

from anymodal.config import ConfigError, shorten, suggest

ValueT = TypeVar("ValueT")
SourceT = TypeVar("SourceT")

PerSource: TypeAlias = ValueT | Sequence[ValueT | None] | Mapping[str, ValueT]
"""A setting: one value for all data sets, one for each in order, or some by name."""


def named_sources(datasets: Mapping[str, SourceT] | Sequence[SourceT]) -> dict[str, SourceT]:
    """Data sets by name; those of a list are named by their numbers, from 0.

    Raises:
        ConfigError: if there are none, or a name isn't fit for the names of figures.
    """
    if isinstance(datasets, str) or not isinstance(datasets, Mapping | Sequence) or not datasets:
        raise ConfigError(
            f"data.datasets is {shorten(datasets)}; a mixture needs data sets, by name or in a list"
        )
    if not isinstance(datasets, Mapping):
        return {str(number): dataset for number, dataset in enumerate(datasets)}
    named = {str(name): dataset for name, dataset in datasets.items()}
    for name in named:
        if not name.strip() or "/" in name or not name.isprintable():
            raise ConfigError(
                f"data.datasets.{name!r} is no name of a data set, which stands in the names of "
                "figures; take letters, digits and - or _"
            )
    return named


@dataclass(frozen=True)
class MixtureSettings:
    """Settings of a mixture, checked without opening a data set; see `Mixture`."""

    weights: PerSource[float] | None = None
    temperature: float | None = None
    repeat: PerSource[float] | None = None
    cap: PerSource[int] | None = None
    balance: PerSource[str] | None = None
    sample_weights: PerSource[str] | None = None

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> MixtureSettings:
        """The settings among a mixture's arguments; what else there is, is left out."""
        return cls(**{each.name: config.get(each.name) for each in fields(cls)})

    def check(self, names: Sequence[str]) -> None:
        """Refuse what doesn't fit the data sets of these names.

        Raises:
            ConfigError: naming the key and the way out.
        """
        for key, (fits, text) in _LIMITS.items():
            for name, value in zip(names, self.of(key, names), strict=True):
                if value is not None and not fits(value):
                    raise ConfigError(f"data.{key}.{name} is {shorten(value)}; {text}")
        weights = self.of("weights", names)
        if self.weights is not None:
            if not isinstance(self.weights, Mapping | Sequence):
                raise ConfigError(
                    f"data.weights is {shorten(self.weights)}; give each data set its own, or take "
                    "temperature: 1e9 for equal shares"
                )
            for name, value in zip(names, weights, strict=True):
                if value is None:
                    raise ConfigError(
                        f"data.weights has none for {name!r}; give each data set one, or leave "
                        f"{name!r} out of the data sets"
                    )
        self._check_shares()

    def _check_shares(self) -> None:
        temperature = self.temperature
        if temperature is not None and not (_is_number(temperature) and temperature >= 1):
            raise ConfigError(
                f"data.temperature is {shorten(temperature)}; give at least 1, which is the shares "
                "by size, or leave it out"
            )
        shares = [key for key in ("weights", "temperature") if getattr(self, key) is not None]
        if len(shares) > 1:
            raise ConfigError("data.weights and data.temperature both tell the shares; give one")
        if shares and self.repeat is not None:
            raise ConfigError(
                f"data.repeat and data.{shares[0]} both tell how often samples come; give one, and "
                "data.cap for a shorter epoch"
            )

    def of(self, key: str, names: Sequence[str]) -> list[Any]:
        """A setting's value for each data set; None where it has none.

        Raises:
            ConfigError: for another number of values, or a name that is no data set's.
        """
        value = getattr(self, key)
        if isinstance(value, Mapping):
            values = {str(name): each for name, each in value.items()}
            for name in values:
                if name not in names:
                    hint = suggest(name, names) or f"; there are {', '.join(names)}"
                    raise ConfigError(f"data.{key}: there is no data set {name!r}{hint}")
            return [values.get(name) for name in names]
        if isinstance(value, Sequence) and not isinstance(value, str):
            if len(value) != len(names):
                raise ConfigError(
                    f"data.{key} has {len(value)} values for {len(names)} data sets; give one for "
                    "each, null for none, or some by name"
                )
            return list(value)
        return [value] * len(names)

    def counts(self, sizes: Mapping[str, int]) -> list[int]:
        """Numbers of samples of each data set in an epoch, by their sizes."""
        names = list(sizes)
        repeats, caps = self.of("repeat", names), self.of("cap", names)
        full = [
            max(1, round(size * (1 if times is None else times)))
            for size, times in zip(sizes.values(), repeats, strict=True)
        ]
        amounts = [n if cap is None else min(n, cap) for n, cap in zip(full, caps, strict=True)]
        if self.weights is None and self.temperature is None:
            return amounts
        if self.weights is not None:
            shares = [float(weight) for weight in self.of("weights", names)]
        else:
            assert self.temperature is not None, "one of them is there"
            shares = [amount ** (1 / self.temperature) for amount in amounts]
        pairs = list(zip(amounts, shares, caps, strict=True))
        per_share = max(amount / share for amount, share, _ in pairs)
        # An epoch that a cap makes shorter has the same shares.
        limits = [cap / share for _, share, cap in pairs if cap is not None]
        shortened = min([per_share, *limits])
        counts = [max(1, round(shortened * share)) for share in shares]
        if shortened < per_share:
            return counts
        # No sample of any data set is left out by rounding.
        return [max(amount, count) for amount, count in zip(amounts, counts, strict=True)]


def check_mixture(config: Mapping[str, Any]) -> None:
    """Refuse the arguments of a mixture that don't fit, opening no data set.

    Raises:
        ConfigError: naming the key and the way out.
    """
    MixtureSettings.of_config(config).check(list(named_sources(config["datasets"])))


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


def _above_0(value: object) -> bool:
    return _is_number(value) and value > 0  # type: ignore[operator]


_COLUMN = (lambda value: isinstance(value, str) and bool(value), "give the name of a column")
_LIMITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "weights": (
        _above_0,
        "a weight must be finite and above 0. Leave a data set out that should have no share",
    ),
    "repeat": (
        _above_0,
        "a number of times must be finite and above 0, such as 4, or 0.5 for every second sample",
    ),
    "cap": (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
        "a number of samples must be whole and at least 1; null for no limit",
    ),
    "balance": _COLUMN,
    "sample_weights": _COLUMN,
}
