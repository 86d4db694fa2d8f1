"""Metrics of texts, against their libraries' or published values."""

from __future__ import annotations

import pytest

from anymodal.config import ConfigError
from anymodal.metrics import (
    Bleu,
    Cider,
    Metric,
    WordErrorRate,
)
from anymodal.metrics.words import words
from tests.support.samples import figures, reply_of, sample


def texts(metric: Metric, replies: list[str], references: list[list[str]]) -> dict[str, float]:
    return figures(
        metric,
        [
            (sample(place, references=tuple(told)), reply_of(reply))
            for place, (reply, told) in enumerate(zip(replies, references, strict=True))
        ],
    )


def test_words_lose_case_and_punctuation() -> None:
    assert words("A red-hot Ball; it’s 2 o'clock (don't!).") == [
        *("a", "red", "hot", "ball", "it's", "2", "o'clock", "don't"),
    ]
    assert words("Größe: приве́т") and words(" ... ") == []


def test_bleu_of_the_paper_and_of_the_library() -> None:
    # Papineni et al. 2002, section 2.1, example 2: a clipped precision of 2/7.
    two = ["The cat is on the mat.", "There is a cat on the mat."]
    found = texts(Bleu(n_gram=1), ["the the the the the the the"], [two])
    assert found == {"bleu_1": pytest.approx(2 / 7), "count": 1}
    # torchmetrics' documentation of BLEUScore: 0.7598.
    told = [["there is a cat on the mat", "a cat is on the mat"]]
    assert texts(Bleu(), ["The cat is on the mat."], told)["bleu_4"] == pytest.approx(0.7598, 1e-4)
    raw = texts(Bleu(normalize=False), ["The cat is on the mat."], told)
    assert raw["bleu_4"] < 0.7598


def test_word_error_rate_of_the_library() -> None:
    replies = ["this is the prediction", "there is an other sample"]
    told = [["This is the reference."], ["there is another one"]]
    # torchmetrics' documentation of WordErrorRate: 0.5, four errors in eight words.
    assert texts(WordErrorRate(), replies, told) == {"word_error_rate": 0.5, "count": 2}
    nearest = texts(WordErrorRate(), ["a b c"], [["x y z", "a b d"]])
    assert nearest["word_error_rate"] == pytest.approx(1 / 3)


CAPTIONS = {
    "a": ("A dog runs on the green grass.", ["a dog is running on grass", "the dog runs outside"]),
    "b": ("Two cats sleep.", ["two cats are asleep on a sofa", "cats sleeping on a couch"]),
    "c": ("a man rides a big horse", ["a man rides a big horse"]),
}


def test_cider_is_pycocoevalcaps_own() -> None:
    from pycocoevalcap.cider.cider import Cider as Published

    metric = Cider()
    replies, told = zip(*CAPTIONS.values(), strict=True)
    found = texts(metric, list(replies), list(told))
    plain = {k: (" ".join(words(r)), [" ".join(words(t)) for t in ts])
             for k, (r, ts) in CAPTIONS.items()}  # fmt: skip
    published, each = Published().compute_score(
        {key: told for key, (_, told) in plain.items()},
        {key: [reply] for key, (reply, _) in plain.items()},
    )
    assert found == {"cider": pytest.approx(published), "count": 3}
    assert each[2] == pytest.approx(10)  # the references' own words
    assert metric.compute() == found
    assert texts(Cider(), ["a dog"], [["a dog"]]) == {"count": 1}  # of which nothing can be told


def test_cider_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycocoevalcap.cider.cider_scorer", None)
    with pytest.raises(ConfigError, match=r"anymodal\[eval\]"):
        Cider()
