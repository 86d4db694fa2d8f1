"""VQA accuracy, against its published rules and figures counted by hand."""

from __future__ import annotations

import pytest

from anymodal.metrics.vqa import VqaAccuracy, normal_answer, vqa_accuracy, without_marks
from tests.support.samples import figures, reply_of, sample


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Dog.", "dog"),
        ("two", "2"),
        ("none", "0"),
        ("an apple, and a pear", "apple and pear"),
        ("dont know", "don't know"),
        ("couldnt've", "couldn't've"),
        ("im", "im"),  # the published list has "Im" alone, which no lowered word is
        ("she's", "she's"),
        ("1,000", "1000"),
        ("3.5", "3.5"),
        ("x-ray", "x ray"),
        ("red / blue", "red blue"),
        ("t-shirt!", "t shirt"),
        ("yes\n", "yes"),
    ],
)
def test_normal_answers(text: str, normal: str) -> None:
    assert normal_answer(text) == normal


@pytest.mark.parametrize(
    ("said", "accuracy"),
    # As visualqa.org has it: min(people who said it / 3, 1), over all ways to leave one out.
    [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)],
)
def test_accuracy_by_the_number_of_people_who_agree(said: int, accuracy: float) -> None:
    answers = ("cat",) * said + tuple(f"other {n}" for n in range(10 - said))
    assert vqa_accuracy("A cat.", answers) == pytest.approx(accuracy)


def test_answers_of_people_lose_marks_only_where_they_differ() -> None:
    assert without_marks("x-ray.") == "x ray"
    assert vqa_accuracy("x-ray", ("x-ray",) * 10) == 0  # as the published evaluation has it
    assert vqa_accuracy("x-ray", ("x-ray",) * 9 + ("scan",)) == 1


def test_groups_have_figures_of_their_own() -> None:
    pairs = [
        (sample(1, references=("yes",) * 10, groups=("answer yes/no",)), reply_of("Yes")),
        (sample(2, references=("red",) * 10, groups=("answer other",)), reply_of("blue")),
    ]
    found = figures(VqaAccuracy(), pairs)
    assert found["accuracy"] == 0.5 and found["accuracy, answer other"] == 0
