"""Questions with lettered options: the option that a reply means, and accuracy over it."""

from __future__ import annotations

import re
import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from anymodal.metrics.base import Metric
from anymodal.metrics.groups import GroupMeans

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message

LETTERS = string.ascii_uppercase
_STATED = re.compile(r"[Tt]he (?:correct )?answer is:? \(?([A-Z])\b")
_AROUND = str.maketrans(dict.fromkeys(".()[],:;!*#{}\"'", " "))
_LONG = 3
"""Words from which on a lone "A" is an article rather than an option."""


def option_of(text: str, options: Sequence[str]) -> int | None:
    """The place of the option that a reply means, or None where it means none or several.

    In this order: "the answer is X", said of one letter; the one letter of an option that stands
    alone ("A" among more than three words is an article); the one option whose words are in the
    reply, if that isn't more than twice as long as all of them.

    Source: `can_infer` of VLMEvalKit, which MMBench is computed with, section 4.2 of its paper; and
    the pattern of ScienceQA's evaluation.
    """
    letters = LETTERS[: len(options)]
    stated = {letter for letter in _STATED.findall(text) if letter in letters}
    if len(stated) == 1:
        return letters.index(stated.pop())
    tokens = text.translate(_AROUND).split()
    alone = [letter for letter in letters if letter in tokens]
    if len(alone) == 1 and not (alone == ["A"] and len(tokens) > _LONG):
        return letters.index(alone[0])
    return _option_by_words(text.lower(), [option.lower() for option in options])


def _option_by_words(text: str, options: Sequence[str]) -> int | None:
    if len(text) > 2 * sum(map(len, options)):
        return None
    within = [place for place, option in enumerate(options) if option in text]
    return within[0] if len(within) == 1 else None


class OptionAccuracy(Metric):
    """The share of replies that mean the right option; one that means none is wrong.

    `named` is the share of replies that mean an option at all. The passes of a circular evaluation
    are samples of one `unit`, which is right where all of them are; `vanilla accuracy` is that of
    the first passes alone. Other samples count alone. Units of which a pass has no reply are left
    out, and `incomplete` is their number.

    Source: Liu et al. 2024, "MMBench: is your multi-modal model an all-around player?", section
    4.1, https://arxiv.org/abs/2307.06281; Lu et al. 2022, "Learn to explain: multimodal reasoning
    via thought chains for science question answering", https://arxiv.org/abs/2209.09513.
    """

    needs = ("choices", "answer")

    def __init__(self) -> None:
        self.right: dict[str, list[bool]] = defaultdict(list)
        self.samples: dict[str, EvaluationSample] = {}  # the first of each unit
        self.num_named = 0

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        place = option_of(reply.text, sample.choices)
        self.num_named += place is not None
        unit = sample.unit or sample.id
        self.right[unit].append(place is not None and sample.choices[place] == sample.answer)
        self.samples.setdefault(unit, sample)
        return True

    def _compute(self) -> dict[str, float]:
        complete = self._complete()
        figures = self._means(complete).figures("accuracy")
        if complete and any(self.samples[unit].unit_size > 1 for unit in complete):
            figures["vanilla accuracy"] = sum(right[0] for right in complete.values()) / len(
                complete
            )
        figures["named"] = self.num_named / self.count
        num_incomplete = len(self.right) - len(complete)
        return {**figures, "incomplete": num_incomplete} if num_incomplete else figures

    def sizes(self) -> dict[str, int]:
        complete = self._complete()
        return {**self._means(complete).sizes("accuracy"), "vanilla accuracy": len(complete)}

    def _complete(self) -> dict[str, list[bool]]:
        return {
            unit: passes
            for unit, passes in self.right.items()
            if len(passes) == self.samples[unit].unit_size
        }

    def _means(self, units: Mapping[str, Sequence[bool]]) -> GroupMeans:
        means = GroupMeans()
        for unit, passes in units.items():
            means.add(all(passes), self.samples[unit].groups)
        return means
