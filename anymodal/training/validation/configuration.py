"""Validation of a run as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from anymodal.config import ConfigError, shorten, suggest

LOSS = "loss"
MODES = ("min", "max")
SAMPLES = 4
"""Conversations of each data set that are answered where a run names no number."""


@dataclass
class ValidationConfig:
    """Validation of a run on held-out data.

    Args:
        data: a part as the run's own `data`, or several by name, whose losses are logged apart.
        every: optimiser steps between validations. One comes before the first step, and one after
            the last.
        batches: the most batches of each data set, spread evenly over it; null for all.
        samples: conversations of each data set that are answered; or a JSON Lines file, as of
            `anymodal eval files`. 0 for none, null for 4 where the model chats.
        metrics: parts, as of `anymodal eval files`, that measure the replies, by name.
        settings: of the replies, such as `max_new_tokens` and `sampling`. With `choices`, a list
            of texts or `per_sample`, each reply is one of them, and the held-out reply the answer.
        shown: replies in the report and in the loggers.
        monitor: the figure by which the best checkpoint is chosen, such as `loss`, `loss/text`,
            `birds/loss` of a data set's name, or `bleu` of a metric's.
        mode: `min` or `max`, whichever is better; null for `min`, of losses alone.
        patience: validations without a better figure that end the run; null for none.
        min_delta: the least change that is better.
        restore_best: let the finished model have the best weights, not the last.
    """

    data: Any = None
    every: int = 200
    batches: int | None = 50
    samples: Any = None
    metrics: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    shown: int = 8
    monitor: str = LOSS
    mode: str | None = None
    patience: int | None = None
    min_delta: float = 0.0
    restore_best: bool = False

    def sources(self) -> dict[str, Any]:
        """The data sets' nodes by name; a single one has the name "" ."""
        if is_source(self.data):
            return {"": self.data}
        return dict(self.data) if isinstance(self.data, Mapping) else {"": self.data}

    def ranges(self) -> Iterator[tuple[str, float, float, float]]:
        """Settings, by name, with their least and most."""
        yield "every", self.every, 1, 10**9
        yield "shown", self.shown, 0, 1000
        yield "min_delta", self.min_delta, 0, 1e12
        for name, value in (("batches", self.batches), ("patience", self.patience)):
            if value is not None:
                yield name, value, 1, 10**9
        if isinstance(self.samples, int):
            yield "samples", self.samples, 0, 10**6

    def check(self) -> None:
        """Refuse what can't be, or can't go together.

        Raises:
            ConfigError: naming the keys.
        """
        samples = self.samples
        if isinstance(samples, bool) or not (samples is None or isinstance(samples, int | str)):
            raise ConfigError(
                f"validation.samples must be a number or a JSON Lines file, not {shorten(samples)}"
            )
        if self.metrics and samples == 0:
            raise ConfigError("validation.metrics measures replies; give validation.samples")
        if self.mode not in (None, *MODES):
            hint = suggest(str(self.mode), MODES)
            raise ConfigError(f"validation.mode must be min or max, not {self.mode!r}{hint}")
        if self.mode is None and LOSS not in self.monitor.split("/"):
            raise ConfigError(
                f"validation.monitor={self.monitor!r} is no loss; say with validation.mode whether "
                "more of it is better (max) or less (min)"
            )


def is_source(node: object) -> bool:
    """Return True for the node of one data set, and not of several by name."""
    if not isinstance(node, Mapping):
        return False
    if node.keys() & {"_target_", "_part_"} or isinstance(node.get("path"), str):
        return True
    several = node.get("datasets")  # of a mixture, unless it is the name of a data set
    return isinstance(several, list) or (isinstance(several, Mapping) and not is_source(several))
