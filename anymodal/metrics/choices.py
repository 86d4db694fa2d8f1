"""Closed questions: one of several choices, or yes or no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from anymodal.metrics.base import Metric
from anymodal.metrics.intervals import wilson
from anymodal.metrics.words import find_spans, words

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message


class Accuracy(Metric):
    """The share of replies that name the right choice, and no other.

    A choice is named where its words stand in the reply in that order, whatever their case; within
    a longer choice ("cat" in "black cat") it isn't. `accuracy_low` and `accuracy_high` are Wilson's
    95 % interval; `named` is the share of replies that name exactly one choice, `chance` what blind
    guessing gets.
    """

    needs = ("choices", "answer")

    def __init__(self) -> None:
        self.num_correct = self.num_named = 0
        self.chance = 0.0

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        choice = named_choice(reply.text, sample.choices)
        self.num_correct += choice == sample.answer
        self.num_named += choice is not None
        # A choice that is listed twice isn't guessed more often.
        self.chance += 1 / len(set(sample.choices))
        return True

    def _compute(self) -> dict[str, float]:
        accuracy = self.num_correct / self.count
        low, high = wilson(accuracy, self.count)
        return {
            "accuracy": accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "named": self.num_named / self.count,
            "chance": self.chance / self.count,
        }


def named_choice(text: str, choices: Sequence[str]) -> str | None:
    """The only choice that a text names, if there is one; see `Accuracy`."""
    if text in choices:  # whatever its words, as one without any
        return text
    named = choices_in(text, choices)
    return next(iter(named)) if len(named) == 1 else None


def choices_in(text: str, choices: Sequence[str]) -> set[str]:
    """The choices that a text names; see `Accuracy`."""
    text_words = words(text)
    spans = [(span, choice) for choice in choices for span in find_spans(words(choice), text_words)]

    # "cat" isn't named by "black cat" where both are choices.
    def within_longer(start: int, end: int) -> bool:
        return any(a <= start and end <= b and b - a > end - start for (a, b), _ in spans)

    return {choice for span, choice in spans if not within_longer(*span)}


class YesNo(Metric):
    """Questions with yes or no, as POPE asks them to find what a model merely imagines.

    Read as POPE's own evaluation does, whatever the case: the first sentence is a no if it has the
    word "no" or "not", else a yes; `unclear` is the share of replies that have neither those nor
    "yes". Precision, recall and F1 are of yes; `yes` is its share among the replies. Samples whose
    answer is neither yes nor no are passed over.

    Source: Li et al. 2023, "Evaluating object hallucination in large vision-language models",
    section 5, https://arxiv.org/abs/2305.10355 (torchmetrics).
    """

    needs = ("answer",)

    def __init__(self) -> None:
        from torchmetrics import MetricCollection
        from torchmetrics.classification import (
            BinaryAccuracy,
            BinaryF1Score,
            BinaryPrecision,
            BinaryRecall,
        )

        self.library = MetricCollection(
            {
                "accuracy": BinaryAccuracy(),
                "precision": BinaryPrecision(),
                "recall": BinaryRecall(),
                "f1": BinaryF1Score(),
            }
        )
        self.yes = self.unclear = 0

    def takes(self, sample: EvaluationSample) -> bool:
        """Return whether the answer is yes or no."""
        return words(sample.answer) in (["yes"], ["no"])

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        sentence = set(words(reply.text.partition(".")[0]))
        yes = not sentence & {"no", "not"}
        self.yes += yes
        self.unclear += not sentence & {"yes", "no", "not"}
        target = words(sample.answer) == ["yes"]
        self.library.update(torch.tensor([int(yes)]), torch.tensor([int(target)]))
        return True

    def _compute(self) -> dict[str, float]:
        figures = {name: float(value) for name, value in self.library.compute().items()}
        return {**figures, "yes": self.yes / self.count, "unclear": self.unclear / self.count}
