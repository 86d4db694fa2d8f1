"""Options that replies mean, and accuracy over rotations of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.metrics.options import OptionAccuracy, option_of
from tests.support.samples import figures, reply_of, sample

OPTIONS = ("a teddy bear", "a rabbit", "a cat", "a dog")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("A", 0),
        ("(B)", 1),
        ("C.", 2),
        ("D: a dog", 3),
        ("The answer is B.", 1),
        ("The correct answer is: (C) since A and B are no cats", 2),
        ("a cute teddy bear", None),  # a judge's task: no option's words stand in it
        ("It is a rabbit", 1),
        ("A rabbit", 0),  # two words, so the letter counts
        ("A small thing that hops", None),  # an article
        ("A or B", None),
        ("a cat and a dog", None),
        ("Spider", None),
        ("E", None),
        ("", None),
        ("a cat " * 40, None),  # longer than twice all options
    ],
)
def test_the_option_of_a_reply(text: str, place: int | None) -> None:
    assert option_of(text, OPTIONS) == place


@settings(max_examples=30)
@given(st.text(), st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_any_reply_means_an_option_or_none(text: str, options: list[str]) -> None:
    place = option_of(text, options)
    assert place is None or 0 <= place < len(options)


def test_a_question_is_right_where_all_its_rotations_are() -> None:
    passes = [("ball", "bell"), ("bell", "ball")]
    pairs = [
        (
            sample(
                f"{unit}-{n}",
                choices=options,
                answer="ball",
                unit=unit,
                unit_size=2,
                groups=(unit,),
            ),
            reply,
        )
        for unit, replies in (("first", ("A", "A")), ("second", ("A", "B")))
        for n, (options, reply) in enumerate(zip(passes, map(reply_of, replies), strict=True))
    ]
    metric = OptionAccuracy()
    assert figures(metric, pairs) == {
        "accuracy": 0.5, "accuracy, first": 0.0, "accuracy, second": 1.0, "vanilla accuracy": 1.0,
        "named": 1.0, "count": 4,
    }  # fmt: skip
    assert metric.sizes() == {
        "accuracy": 2, "accuracy, first": 1, "accuracy, second": 1, "vanilla accuracy": 2,
    }  # fmt: skip
    # A pass without a reply: of its question nothing is known.
    assert figures(OptionAccuracy(), pairs[:3]) == {
        "accuracy": 0.0, "accuracy, first": 0.0, "vanilla accuracy": 1.0, "named": 1.0,
        "incomplete": 1, "count": 3,
    }  # fmt: skip


def test_samples_without_a_unit_count_alone() -> None:
    known = {"choices": ("ball", "bell"), "answer": "bell"}
    pairs = [(sample(n, **known), reply_of(text)) for n, text in enumerate(("B", "A", "hm"))]
    assert figures(OptionAccuracy(), pairs) == {
        "accuracy": pytest.approx(1 / 3), "named": pytest.approx(2 / 3), "count": 3
    }  # fmt: skip
