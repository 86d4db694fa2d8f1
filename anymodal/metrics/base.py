"""The contract every metric keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from anymodal.config import ConfigError

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message


class MetricTable(NamedTuple):
    """A table of figures: the columns' names, and as many cells in each row."""

    columns: list[str]
    rows: list[list[str | float | int]]


class Metric(ABC):
    """Figures over replies, gathered sample by sample.

    A sample without what the metric needs is passed over. A reply without the medium that was
    wanted is counted as `missing`, and told apart from one that was made badly.

    Attributes:
        needs: keys of a sample that the metric can't do without.
        least: the fewest samples that give a figure.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    least: ClassVar[int] = 1

    count: int = 0
    missing: int = 0

    def takes(self, sample: EvaluationSample) -> bool:
        """Return whether a sample has what this metric needs."""
        return all(getattr(sample, key) for key in self.needs)

    def check(self, samples: Sequence[EvaluationSample]) -> None:
        """Make sure, before anything is asked, that there will be something to measure.

        Raises:
            ConfigError: naming what the samples lack.
        """
        able = sum(self.takes(sample) for sample in samples)
        if able < self.least:
            keys = " and ".join(f"`{key}`" for key in self.needs)
            raise ConfigError(
                f"needs {self.least} or more samples with {keys}, and {able} of {len(samples)} "
                "have that; add it to the data, or take this metric out"
            )

    def of_single_replies(self, samples: Sequence[EvaluationSample]) -> Metric:
        """The metric whose figures are those of single replies; itself, unless it needs others.

        Args:
            samples: all at hand, for what a figure of one of them depends on.

        Raises:
            ConfigError: if one reply has no figure.
        """
        if self.least > 1:
            raise ConfigError(
                f"{type(self).__name__} is computed over {self.least} or more replies together "
                "and scores none alone; take another metric"
            )
        return self

    def to(self, device: str) -> None:  # noqa: B027 (most compute with nothing that could move)
        """Move what the metric computes with."""

    def update(self, sample: EvaluationSample, reply: Message) -> None:
        """Take in a reply.

        Raises:
            ValueError: if a medium can't be measured; the reply then counts for nothing.
            OSError: if a reference can't be read.
        """
        # What isn't asked for in the data can't be missing.
        if self.takes(sample):
            self.missing += not self._update(sample, reply)
            self.count += 1

    def compute(self) -> dict[str, float]:
        """The figures, with `count`, the replies taken in, and `missing`, if there are any."""
        # Without one reply measured there is nothing to divide by.
        figures = self._compute() if self.count > self.missing else {}
        extra = {"missing": self.missing} if self.missing else {}
        return {**figures, "count": self.count, **extra}

    def sizes(self) -> dict[str, int]:
        """Numbers of values that figures are over, by their names, where that isn't `count`."""
        return {}

    def tables(self) -> dict[str, MetricTable]:
        """Tables by name that tell more than the figures; most metrics have none."""
        return {}

    @abstractmethod
    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        """Take in a reply to a sample with all that is needed; False if it lacks the medium."""

    @abstractmethod
    def _compute(self) -> dict[str, float]:
        """The figures over one reply or more."""
