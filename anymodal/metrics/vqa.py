"""Accuracy of short answers against those of ten people, as VQA has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from anymodal.metrics.base import Metric
from anymodal.metrics.groups import GroupMeans

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message

_AGREEING = 3
"""As many people who gave an answer make it wholly right."""
_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_ARTICLES = {"a", "an", "the"}
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMERALS = {"none": "0", **{word: str(number) for number, word in enumerate(_NUMBERS)}}


class VqaAccuracy(Metric):
    """Accuracy of VQA: an answer is right as far as three of the other nine people gave it.

    It is the mean over the ten ways to leave one person out, as the published evaluation computes
    it, with its normalisation: marks, articles, numerals and contractions of the reply, and marks
    alone of people's answers where they differ. A reply is compared as a whole, so the prompt
    should ask for a word or a phrase. Groups are types of questions and of answers.

    Source: Antol et al. 2015, "VQA: visual question answering"; Goyal et al. 2017, "Making the V in
    VQA matter"; https://visualqa.org/evaluation.html.
    """

    needs = ("references",)

    def __init__(self) -> None:
        self.means = GroupMeans()

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        self.means.add(vqa_accuracy(reply.text, sample.references), sample.groups)
        return True

    def _compute(self) -> dict[str, float]:
        return self.means.figures("accuracy")

    def sizes(self) -> dict[str, int]:
        return self.means.sizes("accuracy")


def vqa_accuracy(answer: str, references: tuple[str, ...]) -> float:
    """The accuracy of one answer against people's, from 0 to 1; see `VqaAccuracy`."""
    answer = normal_answer(answer)
    if len(set(references)) > 1:
        references = tuple(without_marks(each) for each in references)
    same = [each == answer for each in references]
    return sum(min(1.0, (sum(same) - one) / _AGREEING) for one in same) / len(same)


def normal_answer(text: str) -> str:
    """An answer without marks and articles, numbers as numerals, contractions with apostrophes."""
    text = without_marks(text.replace("\n", " ").replace("\t", " ").strip())
    words = [_NUMERALS.get(word, word) for word in text.lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def without_marks(text: str) -> str:
    """A text without marks: a mark between letters becomes a space, others go, as periods do."""
    # A comma within a number, and then no mark at all leaves a space.
    has_long_number = re.search(r"\d,\d", text) is not None
    result = text
    for mark in _MARKS:
        stands_beside_space = f"{mark} " in text or f" {mark}" in text
        result = result.replace(mark, "" if stands_beside_space or has_long_number else " ")
    return re.sub(r"\.(?!\d)", "", result)


def _contractions() -> dict[str, str]:
    """Contractions by their forms without one of the apostrophes or more, as published.

    The published list is kept as it is, with what it lacks: answers of other papers were computed
    with it.
    """
    stems = {
        "'t": "ain aren can couldn didn doesn don hadn hasn haven isn mightn mustn needn oughtn "
        "shan shouldn wasn weren won wouldn",
        "'ve": "could might must not should we what where who would they you",
        "'d": "he how it someone something there they where who you",
        "'s": "he how somebody someone that there what when where who why",
        "'ll": "how it somebody someone something they what who why you",
        "'re": "there they what why you",
        "'all": "y",
        "'am": "ma",
        "'clock": "o",
    }
    twice = {
        "'t've": "couldn hadn mightn shouldn wouldn",
        "'d've": "he it she somebody someone something there they we who you",
        "'all'll": "y",
    }
    table = {"twas": "'twas", "somebody'd": "somebodyd"}
    for ending, words in stems.items():
        table |= {word + ending.replace("'", ""): word + ending for word in words.split()}
    for ending, words in twice.items():
        first, second = ending[1:].split("'")
        for word in words.split():
            whole = word + ending
            table |= {f"{word}{first}'{second}": whole, f"{word}'{first}{second}": whole}
    for form in ("yall'd've", "y'alld've", "y'all'dve"):
        table[form] = "y'all'd've"
    for form in ("ow's'at", "'ows'at", "'ow'sat"):
        table[form] = "'ow's'at"
    return table


_CONTRACTIONS = _contractions()
