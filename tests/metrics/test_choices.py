"""Metrics of closed questions, against tables counted by hand."""

from __future__ import annotations

import pytest

from anymodal.metrics import (
    Accuracy,
    YesNo,
)
from anymodal.metrics.choices import choices_in
from anymodal.metrics.intervals import wilson
from anymodal.metrics.words import words
from tests.support.samples import figures, reply_of, sample


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It's a CAT!", {"cat"}),
        ("a black cat", {"black cat"}),
        ("a black cat and another cat", {"black cat", "cat"}),
        ("catalogue", set()),
        ("a cat or a dog", {"cat", "dog"}),
    ],
)
def test_named_choices(text: str, found: set[str]) -> None:
    assert choices_in(text, ["cat", "black cat", "dog"]) == found


def test_signs_that_are_part_of_a_name_tell_choices_apart() -> None:
    names = ["C", "C++", "C#", "-1", "1"]
    for name in names:
        assert choices_in(f"It is {name}, I'd say.", names) == {name}
    assert choices_in("It is −1.", names) == {"-1"}
    assert words("A+B, 3-5 and x=1+1; no#1") == [
        "a", "b", "3", "5", "and", "x", "1", "1", "no", "1",
    ]  # fmt: skip


def test_accuracy_counts_one_right_choice_alone() -> None:
    known = {"choices": ("cat", "dog", "fish", "owl"), "answer": "cat"}
    replies = ["A cat.", "a dog", "a cat or a dog", "no idea", "Cat"]
    pairs = [(sample(n, **known), reply_of(reply)) for n, reply in enumerate(replies)]
    pairs.append((sample("open", answer="cat"), reply_of("cat")))  # has no choices
    assert figures(Accuracy(), pairs) == {
        **{"accuracy": 2 / 5, "named": 3 / 5, "chance": pytest.approx(1 / 4)},
        **dict(zip(("accuracy_low", "accuracy_high"), wilson(2 / 5, 5), strict=True)),
        "count": 5,
    }


def test_yes_and_no_on_a_table_counted_by_hand() -> None:
    table = [
        ("yes", "Yes, there is a dog."),  # right yes: 3
        ("yes", "yes"),
        ("yes", "I see a dog. No cat, though."),  # the first sentence; unclear, read as yes
        ("no", "Yes."),  # wrong yes: 1
        ("yes", "No."),  # wrong no: 2
        ("Yes", "There is NOT a dog"),
        ("no", "no, there is none"),  # right no: 2
        ("No.", "There is no dog in it."),
    ]
    pairs = [(sample(n, answer=a), reply_of(reply)) for n, (a, reply) in enumerate(table)]
    pairs.append((sample("other", answer="a cat"), reply_of("yes")))
    assert figures(YesNo(), pairs) == {
        "accuracy": pytest.approx(5 / 8),
        "precision": pytest.approx(3 / 4),
        "recall": pytest.approx(3 / 5),
        "f1": pytest.approx(2 * 0.75 * 0.6 / 1.35),
        "yes": 4 / 8,
        "unclear": 1 / 8,
        "count": 8,
    }
