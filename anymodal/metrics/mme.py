"""Scores of MME: two questions with yes or no about each picture."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from anymodal.metrics.base import Metric
from anymodal.metrics.words import words

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message

PERCEPTION: tuple[str, ...] = (
    *("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark"),
    *("artwork", "OCR"),
)
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
_BEGINNING = 4
"""Letters at a reply's beginning that decide it."""


class MmeScore(Metric):
    """MME's `acc` and `acc+` of each category, their sum, and the totals.

    `acc` is the percentage of questions that are right, `acc+` that of pictures of which both are,
    and a category's score is their sum, so at most 200. Totals are over the ten categories of
    perception (2000) and the four of cognition (800). A reply is a yes or a no where that stands in
    its first four letters, yes first; `unclear` is the share of the others, which are wrong.
    Pictures (`EvaluationSample.unit`) of which a question has no reply count in `acc` alone, and
    `unpaired` is their number.

    Source: Fu et al. 2023, "MME: a comprehensive evaluation benchmark for multimodal large language
    models", section 2.2, https://arxiv.org/abs/2306.13394.
    """

    needs = ("answer", "unit", "groups")

    def __init__(self) -> None:
        self.right: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        self.num_unclear = 0

    def takes(self, sample: EvaluationSample) -> bool:
        """Return whether the answer is yes or no, and the category and the picture are there."""
        return super().takes(sample) and words(sample.answer) in (["yes"], ["no"])

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        beginning = reply.text.strip().lower()[:_BEGINNING]
        label = next((word for word in ("yes", "no") if word in beginning), "")
        self.num_unclear += not label
        units = self.right[sample.groups[0]]
        units[sample.unit].append([label] == words(sample.answer))
        return True

    def _compute(self) -> dict[str, float]:
        scores: dict[str, float] = {}
        figures: dict[str, float] = {}
        num_unpaired = 0
        for category, units in self.right.items():
            answers = [right for both in units.values() for right in both]
            pairs = [all(both) for both in units.values() if len(both) == 2]
            num_unpaired += len(units) - len(pairs)
            accuracy = 100 * sum(answers) / len(answers)
            plus = 100 * sum(pairs) / len(pairs) if pairs else 0.0
            scores[category] = accuracy + plus
            figures |= {f"acc, {category}": accuracy, f"acc+, {category}": plus}
            figures[f"score, {category}"] = scores[category]
        for name, categories in (("perception", PERCEPTION), ("cognition", COGNITION)):
            if parts := [scores[each] for each in categories if each in scores]:
                figures[name] = sum(parts)
        figures["unclear"] = self.num_unclear / self.count
        return {**figures, "unpaired": num_unpaired} if num_unpaired else figures

    def sizes(self) -> dict[str, int]:
        """Questions of each category, and of `acc+` its pictures."""
        sizes: dict[str, int] = {}
        for category, units in self.right.items():
            questions = sum(map(len, units.values()))
            sizes |= {f"acc, {category}": questions, f"score, {category}": questions}
            sizes[f"acc+, {category}"] = sum(len(both) == 2 for both in units.values())
        return sizes
