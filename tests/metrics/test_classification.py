"""Figures of classes, against torchmetrics and tables counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from anymodal.metrics import Accuracy, ClassificationReport
from anymodal.metrics.classification import NO_CLASS
from anymodal.metrics.intervals import bootstrap, wilson
from anymodal.metrics.sample_choices import choose_among, split_choices
from anymodal.types import ChoiceScore, Message
from tests.support.samples import figures, reply_of, sample

CLASSES = ("sitting", "standing", "walking", "walking upstairs")


def pairs_of(answers: list[int], replies: list[int]):
    return [
        (sample(n, choices=CLASSES, answer=CLASSES[a]), reply_of(CLASSES[r].capitalize() + "."))
        for n, (a, r) in enumerate(zip(answers, replies, strict=True))
    ]


def test_figures_are_those_of_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 4, 300)
    replies = np.where(rng.random(300) < 0.7, answers, rng.integers(0, 4, 300))
    result = figures(ClassificationReport(), pairs_of(answers.tolist(), replies.tolist()))
    target, predicted = torch.tensor(answers), torch.tensor(replies)
    for name, library in (
        ("accuracy", MulticlassAccuracy(4, average="micro")),
        ("balanced_accuracy", MulticlassAccuracy(4, average="macro")),
        ("macro_f1", MulticlassF1Score(4, average="macro")),
    ):
        assert result[name] == pytest.approx(float(library(predicted, target)), abs=1e-6)
        assert result[f"{name}_low"] < result[name] < result[f"{name}_high"]
    assert (result["accuracy_low"], result["accuracy_high"]) == wilson(result["accuracy"], 300)
    assert result["named"] == 1 and "log_loss" not in result


def test_tables_counted_by_hand() -> None:
    metric = ClassificationReport()
    pairs = pairs_of([0, 0, 0, 1, 2], [0, 0, 1, 1, 3])
    pairs.append((sample("x", choices=CLASSES, answer="sitting"), reply_of("who knows")))
    result = figures(metric, pairs)
    assert result["accuracy"] == 3 / 6 and result["named"] == 5 / 6
    assert result["balanced_accuracy"] == pytest.approx((2 / 4 + 1 + 0) / 3)
    tables = metric.tables()
    assert tables["classes"].rows == [
        ["sitting", 1.0, 0.5, pytest.approx(2 / 3), 4, 2],
        ["standing", 0.5, 1.0, pytest.approx(2 / 3), 1, 2],
        ["walking", 0.0, 0.0, 0.0, 1, 0],
        ["walking upstairs", 0.0, 0.0, 0.0, 0, 1],
    ]
    assert tables["confusion"].columns == ["answer \\ reply", *CLASSES, NO_CLASS]
    assert tables["confusion"].rows == [
        ["sitting", 2, 1, 0, 0, 1],
        ["standing", 0, 1, 0, 0, 0],
        ["walking", 0, 0, 0, 1, 0],
        ["walking upstairs", 0, 0, 0, 0, 0],
    ]


def test_log_loss_is_of_the_right_class() -> None:
    metric = ClassificationReport()
    for answer, share in (("a", 0.8), ("b", 0.5)):
        scores = (ChoiceScore("a", share, -1.0), ChoiceScore("b", 1 - share, -2.0))
        metric.update(
            sample(answer, choices=("a", "b"), answer=answer),
            Message("assistant", "a", choices=scores),
        )
    result = metric.compute()
    assert result["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.5)) / 2)
    assert figures(Accuracy(), [])["count"] == 0


def test_a_bootstrap_of_a_share_is_near_the_binomial_interval() -> None:
    low, high = bootstrap(np.array([80, 20]), lambda counts: counts[:, 0] / counts.sum(1))
    assert (low, high) == pytest.approx((0.72, 0.88), abs=0.02)
    assert bootstrap(np.array([7]), lambda counts: counts[:, 0] / 7) == (1, 1)


def test_answers_among_choices_of_a_task_or_a_sample() -> None:
    task = ("sitting", "standing up")
    chosen = choose_among(sample(references=("Standing up.",)), task)
    assert (chosen.choices, chosen.answer, chosen.chooses) == (task, "standing up", True)
    own = choose_among(sample(choices=("a", "b"), answer="b"), task)
    assert (own.choices, own.answer) == (("a", "b"), "b")
    assert choose_among(sample(answer="yes"), ()) == sample(answer="yes")
    assert chosen.digest() != sample().digest()
    with pytest.raises(ValueError, match="'lying' of sample 1 is none of the choices"):
        choose_among(sample(references=("lying",)), task)
    assert split_choices({"seed": 1}) == ({"seed": 1}, None)
    assert split_choices({"choices": "per_sample"}) == ({}, ())
    assert split_choices({"choices": ["a", "b"]}) == ({}, ("a", "b"))
    for wrong, match in (("per_sampel", "did you mean"), (["a", "a"], "there twice"), ([], "0 ch")):
        with pytest.raises(ValueError, match=match):
            split_choices({"choices": wrong})
