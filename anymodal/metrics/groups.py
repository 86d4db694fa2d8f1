"""Figures of groups of samples beside those of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from anymodal.metrics.base import Metric

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message


class GroupMeans:
    """Means over all values and over those of each group."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.by_group: dict[str, list[float]] = defaultdict(list)

    def add(self, value: float, groups: Iterable[str]) -> None:
        """Add a value that counts in several groups."""
        self.values.append(value)
        for group in groups:
            self.by_group[group].append(value)

    def figures(self, name: str) -> dict[str, float]:
        """The mean of all under `name`, and that of each group under `name, group`."""
        return {key: sum(values) / len(values) for key, values in self._named(name)}

    def sizes(self, name: str) -> dict[str, int]:
        """The number of values that each of the figures is over."""
        return {key: len(values) for key, values in self._named(name)}

    def _named(self, name: str) -> Iterator[tuple[str, list[float]]]:
        if self.values:
            yield name, self.values
        for group, values in self.by_group.items():
            yield f"{name}, {group}", values


class ByGroup(Metric):
    """A metric of all samples together, and the same of each group (`EvaluationSample.groups`).

    Args:
        build: gives a fresh metric.
        total: whether to give the figures of all samples together too.
    """

    def __init__(self, build: Callable[[], Metric], total: bool = True) -> None:
        self.build, self.total = build, total
        self.whole = build()
        self.parts: dict[str, Metric] = {}
        self.device = "cpu"

    def takes(self, sample: EvaluationSample) -> bool:
        return self.whole.takes(sample)

    def check(self, samples: Sequence[EvaluationSample]) -> None:
        self.whole.check(samples)

    def of_single_replies(self, samples: Sequence[EvaluationSample]) -> Metric:
        return self.whole.of_single_replies(samples)

    def to(self, device: str) -> None:
        self.device = device
        self.whole.to(device)

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        missing = self.whole.missing
        self.whole.update(sample, reply)
        for group in sample.groups:
            if group not in self.parts:
                self.parts[group] = self.build()
                self.parts[group].to(self.device)
            self.parts[group].update(sample, reply)
        return self.whole.missing == missing

    def _compute(self) -> dict[str, float]:
        figures: dict[str, float] = {}
        if self.total or not self.parts:
            figures |= _without_counts(self.whole)
        for group, metric in self.parts.items():
            values = _without_counts(metric)
            figures |= {f"{name}, {group}": value for name, value in values.items()}
        return figures

    def sizes(self) -> dict[str, int]:
        return {
            f"{name}, {group}": metric.count
            for group, metric in self.parts.items()
            for name in _without_counts(metric)
        }


def _without_counts(metric: Metric) -> dict[str, float]:
    figures = metric.compute()
    return {name: value for name, value in figures.items() if name not in ("count", "missing")}
