"""Answers as classes: figures of each class, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from anymodal.metrics.base import Metric, MetricTable
from anymodal.metrics.choices import named_choice
from anymodal.metrics.intervals import bootstrap, wilson

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message

NO_CLASS = "(none)"
"""The column of replies that name no class, or several."""


class ClassificationReport(Metric):
    """Replies that name one of the same classes, such as kinds of things or activities.

    A class is named as `Accuracy` has it. Balanced accuracy is the mean recall of the classes that
    are an answer; macro-F1 is the mean over these and the classes that were named. `accuracy_low`
    and `accuracy_high` are Wilson's 95 % interval, those of the others the percentile bootstrap's
    of 1000 resamples; both take samples to be independent. Where replies carry probabilities,
    `log_loss` is the mean negative logarithm of the right class's.

    Precision, recall and F1 of each class, with the confusion of answers (rows) and replies
    (columns), are tables. Choices that differ between samples are classes together; for questions
    with choices of their own, `Accuracy` tells more.
    """

    needs = ("choices", "answer")

    def __init__(self) -> None:
        self.classes: dict[str, int] = {}
        self.pairs: list[tuple[int, int]] = []  # answer and reply; -1 for none
        self.losses: list[float] = []
        self.num_named = 0

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        for choice in sample.choices:
            self.classes.setdefault(choice, len(self.classes))
        choice_named = named_choice(reply.text, sample.choices)
        self.num_named += choice_named is not None
        named = -1 if choice_named is None else self.classes[choice_named]
        self.pairs.append((self.classes[sample.answer], named))
        probabilities = {each.text: each.probability for each in reply.choices}
        if sample.answer in probabilities:
            # Of what is told as impossible the loss is large, not infinite.
            self.losses.append(-float(np.log(max(probabilities[sample.answer], 1e-12))))
        return True

    def _compute(self) -> dict[str, float]:
        cells = _Cells(self.pairs, len(self.classes))
        counts, number = cells.counts[None], len(self.pairs)
        accuracy = float(cells.correct.sum() / number)
        low, high = wilson(accuracy, number)
        figures = {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}
        for name, figure in (
            ("balanced_accuracy", cells.balanced_accuracy),
            ("macro_f1", cells.macro_f1),
        ):
            low, high = bootstrap(cells.counts, figure)
            figures |= {name: float(figure(counts)[0]), f"{name}_low": low, f"{name}_high": high}
        figures["named"] = self.num_named / number
        if len(self.losses) == number:
            figures["log_loss"] = sum(self.losses) / number
        return figures

    def tables(self) -> dict[str, MetricTable]:
        """Figures of each class, and the confusion table."""
        if not self.pairs:
            return {}
        cells, names = _Cells(self.pairs, len(self.classes)), list(self.classes)
        heads = ["class", "precision", "recall", "F1", "answers", "replies"]
        classes: list[list[str | float | int]] = [
            [name, *row] for name, row in zip(names, cells.by_class(), strict=True)
        ]
        confusion = cells.confusion()
        unnamed = bool(confusion[:, -1].any())
        columns = [*names, NO_CLASS] if unnamed else names
        rows: list[list[str | float | int]] = [
            [name, *map(int, row[: len(columns)])]
            for name, row in zip(names, confusion, strict=True)
        ]
        return {
            "classes": MetricTable(heads, classes),
            "confusion": MetricTable(["answer \\ reply", *columns], rows),
        }


class _Cells:
    """Pairs of answer and reply, counted.

    Shapes: K cells that have samples, C classes, R resamples.
    """

    def __init__(self, pairs: Sequence[tuple[int, int]], num_classes: int) -> None:
        cells, self.counts = np.unique(np.array(pairs), axis=0, return_counts=True)
        self.answers, self.replies = cells.T  # (K,)
        self.correct = np.where(self.answers == self.replies, self.counts, 0)
        names = np.arange(num_classes)
        self._answer = (self.answers[:, None] == names).astype(float)  # (K, C)
        self._reply = (self.replies[:, None] == names).astype(float)
        self._hit = self._answer * self._reply

    def balanced_accuracy(self, counts: np.ndarray) -> np.ndarray:
        """Mean recall over the classes that are an answer, (R, K) to (R,)."""
        answers = counts @ self._answer
        return _mean(_ratio(counts @ self._hit, answers), answers > 0)

    def macro_f1(self, counts: np.ndarray) -> np.ndarray:
        """Mean F1 over the classes that are an answer or a reply, (R, K) to (R,)."""
        both = counts @ self._answer + counts @ self._reply
        return _mean(_ratio(2 * (counts @ self._hit), both), both > 0)

    def by_class(self) -> Iterator[list[float | int]]:
        """Precision, recall, F1, answers and replies of each class."""
        hits, answers, replies = (
            self.counts @ each for each in (self._hit, self._answer, self._reply)
        )
        figures = (
            _ratio(hits, replies),
            _ratio(hits, answers),
            _ratio(2 * hits, answers + replies),
        )
        for row in zip(*figures, answers, replies, strict=True):
            yield [*map(float, row[:3]), *map(int, row[3:])]

    def confusion(self) -> np.ndarray:
        """Counts by answer and reply, (C, C + 1); those of no reply stand last."""
        size = self._answer.shape[1]
        table = np.zeros((size, size + 1), int)
        table[self.answers, self.replies] = self.counts  # -1 is the last column
        return table


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
    return ratio


def _mean(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    mean: np.ndarray = (values * counted).sum(-1) / np.maximum(counted.sum(-1), 1)
    return mean
