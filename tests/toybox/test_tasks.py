"""Tasks of frozen sets, files and pictures: what is asked, scored and summed up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from anymodal.evaluation.predictor import ModelPredictor
from anymodal.media import Media
from anymodal.toybox.frozen_sets import PLAIN
from anymodal.toybox.kind_report import GOALS, GoalFigure
from anymodal.toybox.matrix import GROUPS, MatrixPlan, evaluate_matrix, parse_tasks
from anymodal.toybox.matrix_report import MatrixResults, matrix_table
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import VALUES, Scene, is_held_out
from anymodal.toybox.tasks.base import MatrixSample, ReplyExpectation
from anymodal.toybox.tasks.edits import (
    ClipSample,
    PictureEditSample,
    SilhouetteSample,
    SlowVideoSample,
)
from anymodal.toybox.tasks.frozen import FROZEN, SetSample, set_samples
from anymodal.toybox.tasks.light import LightSample
from anymodal.types import Message
from tests.support.tiny import tiny_model

DEFAULTS = {name: values[1] for name, values in VALUES.items()}


def draw(modality: str, attributes: dict[str, str]) -> Media:
    scene = Scene(**{**DEFAULTS, **attributes})
    return render_scene(scene, modality, np.random.default_rng(0))


def right_reply(sample: MatrixSample, turn: int) -> Message:
    """What a person would reply who knows everything that a sample expects."""
    if isinstance(sample, SetSample):
        expected = sample.row["turns"][turn]["expected"]
        parts: list[str | Media] = [
            draw(item["modality"], {k: v for k, v in item.items() if k != "modality"})
            for item in expected.get("media", ())
        ]
        words = [*expected.get("says", ()), *expected.get("says_any", ())[:1]]
        return Message(
            "assistant", [*parts, "I don't know." if expected.get("refuses") else " ".join(words)]
        )
    if isinstance(sample, LightSample):
        wanted = sample.score(turn, sample.request(turn), Message("assistant", []))["wanted"][0]
        motions = {"left": "moves left", "toward": "comes closer"}
        return Message("assistant", [motions.get(v, v) for v in wanted.values()])
    if isinstance(sample, PictureEditSample):
        return Message("assistant", [sample._render(sample.steps[turn + 1][1])])
    modality = "image" if isinstance(sample, SilhouetteSample) else "video"
    return Message("assistant", [render_scene(sample.scene, modality, np.random.default_rng(0))])


class Expert:
    """Replies to each sample of a plan as a function says."""

    def __init__(self, plan: MatrixPlan, reply: Callable[[MatrixSample, int], Message]) -> None:
        self.replies = {
            sample.reply_seed(turn): (sample, turn)
            for sample in plan.samples()
            for turn in range(sample.turn_count)
        }
        self.reply = reply

    def metadata(self) -> str:
        return "expert"

    def __call__(
        self, conversations: Sequence[list[Message]], seeds: Sequence[int], choices: object = None
    ) -> list[Message]:
        return [self.reply(*self.replies[seed]) for seed in seeds]


def goals_of(results: MatrixResults) -> dict[str, GoalFigure]:
    return {goal["name"].split(" (")[0]: goal for goal in results["goals"]}


def test_tasks_have_names() -> None:
    assert parse_tasks("sets") == GROUPS["sets"]
    assert parse_tasks("set:people,light")[:2] == ("set:people", "light:image")
    assert not set(GROUPS["sets"]) & set(GROUPS["all"])
    with pytest.raises(ValueError, match="did you mean 'set:people'"):
        parse_tasks("set:peple")


def test_who_knows_everything_reaches_every_goal() -> None:
    plan = MatrixPlan(GROUPS["sets"], count=4, splits=(False, True), rows=6)
    results = evaluate_matrix(Expert(plan, right_reply), plan)
    goals = goals_of(results)
    assert set(goals) >= {goal.name for goal in GOALS} - {"… combinations", "… comparisons"}
    # A fresh clip doesn't begin with the picture.
    away = {"… SSIM of the first frame"}
    for name, goal in goals.items():
        if name not in away and goal["goal"] is not None:
            assert goal["value"] >= goal["goal"] - 0.04, goal
    assert goals["… says that it doesn't know"]["value"] == 1
    asked = [
        goals[f"… {name}"]["count"]
        for name in ("says that it doesn't know", "no false refusal inside")
    ]
    assert sum(asked) == 6 and all(asked)
    table = matrix_table(results)
    assert table.count("\n\n") == 4
    assert "| set:forms " in table and "silhouette" in table and "at least" in table
    assert "| seen % " in table.splitlines()[0]


def test_who_draws_the_same_to_everything_reaches_none() -> None:
    plan = MatrixPlan(GROUPS["sets"], count=4, splits=(False, True), rows=6)
    ball = draw("image", {"thing": "ball"})
    results = evaluate_matrix(
        Expert(plan, lambda sample, turn: Message("assistant", ["Here you are: ", ball])), plan
    )
    for name, goal in goals_of(results).items():
        # A ground is like any other, and who is always wrong is so in every way to ask.
        open_to_all = ("… no false refusal inside", "… SSIM of the ground")
        if goal["goal"] is not None and name not in open_to_all and goal["goal"] > 0:
            assert goal["value"] < goal["goal"], goal


def test_ways_to_type_are_compared_with_plain_words() -> None:
    plan = MatrixPlan(("set:forms",), splits=(False, True), rows=5)

    def deaf_to_capitals(sample: MatrixSample, turn: int) -> Message:
        text = sample.request(turn).text
        capitals = sum(letter.isupper() for letter in text) > 2
        return Message("assistant", ["Nice."]) if capitals else right_reply(sample, turn)

    results = evaluate_matrix(Expert(plan, deaf_to_capitals), plan)
    shares = {each["kind"]: each["right"]["share"] for each in results["kinds"]}
    assert shares["upper"] == shares["title"] == 0 and shares[PLAIN] == shares["stop"] > 0.9
    goal = goals_of(results)["forms: the worst way to type, to plain words"]
    assert goal["value"] == -shares[PLAIN]


def test_rows_are_spread_and_keep_their_places() -> None:
    whole = set_samples("set:people", 0, (False, True))
    assert [sample.index for sample in whole] == list(range(445))
    some = set_samples("set:people", 0, (False, True), 10)
    assert len(some) == 10 and {sample.key for sample in some} < {sample.key for sample in whole}
    assert len({sample.row["turns"][0]["kind"] for sample in some}) > 6
    forms = set_samples("set:forms", 0, (False, True), 3)
    assert len(forms) == 3 * 8
    split = [set_samples("set:people", 0, (unseen,)) for unseen in (False, True)]
    assert sum(map(len, split)) == 445 and all(split)
    assert all(sample.unseen for sample in split[1])


def test_attachments_are_drawn_by_the_rows_name_alone() -> None:
    sample = next(s for s in set_samples("set:questions", 0, (False, True)) if s.index == 0)
    other = SetSample(7, sample.task, sample.unseen, sample.index)
    assert sample.request(0).media[0].digest() == other.request(0).media[0].digest()
    assert sample.reply_seed(0) != other.reply_seed(0)
    for task in FROZEN[3:]:
        for row in set_samples(task, 0, (False, True), 12):
            for turn in range(row.turn_count):
                kinds = [item["modality"] for item in row.row["turns"][turn]["attach"]]
                assert [item.kind for item in row.request(turn).media] == kinds


@pytest.mark.parametrize(
    ("expectation", "text", "right"),
    [
        (ReplyExpectation(says=("red",)), "It is red.", True),
        (ReplyExpectation(says=("red",)), "Here is a red bee.", True),
        (ReplyExpectation(says=("red", "bee")), "It is red.", False),
        (ReplyExpectation(says_any=("no",)), "It is not.", False),
        (ReplyExpectation(refuses=True), "I only know twelve things.", True),
        (ReplyExpectation(refuses=False), "I only know twelve things.", False),
        (ReplyExpectation(attributes=({"thing": "bee"},)), "A red bee.", False),
        (ReplyExpectation(attributes=({"thing": "bee"},), more=True), "A red bee.", True),
        (ReplyExpectation(attributes=({"thing": "bee"},), more=True), "A bee or a bell.", False),
    ],
)
def test_words_of_a_reply_are_scored(expectation: ReplyExpectation, text: str, right: bool) -> None:
    record = expectation.score(Message("user", ["?"]), (), Message("assistant", [text]))
    marks = [mark for each in record["right"] for mark in each.values()]
    assert all(marks) is right
    assert len(record["wanted"]) == len(record["read"]) == len(record["chance"])


def test_edits_keep_the_place_and_their_split() -> None:
    for unseen in (False, True):
        for index in range(8):
            sample = PictureEditSample(0, "edits", unseen, index)
            last = sample.steps[-1][1]
            assert PictureEditSample(1, "edits", unseen, index).steps != sample.steps
            assert sample.turn_count == (5 if sample.kind == "chain" else 1)
            assert len(sample.request(0).media) == 1
            right = right_reply(sample, 0)
            measures = sample.score(0, sample.request(0), right)["measures"]
            assert measures["asked"] == measures["centre kept"] == measures["area kept"] == 1
            nothing = sample.score(0, sample.request(0), Message("assistant", ["Nice."]))
            assert nothing["measures"]["asked"] == nothing["measures"]["centre kept"] == 0
            drawn = SilhouetteSample(0, "silhouettes", unseen, index).scene
            assert is_held_out(last.thing, last.color) is unseen
            assert is_held_out(drawn.thing, drawn.color) is unseen


def test_a_clip_that_begins_with_the_picture_is_told_from_one_that_does_not() -> None:
    for index in range(4):
        sample = ClipSample(0, "clips", True, index)
        jitter = np.random.default_rng([*sample.entropy, 2])
        own = Message("assistant", [render_scene(sample.scene, "video", jitter)])
        other = right_reply(sample, 0)
        request = sample.request(0)
        similarity = [
            sample.score(0, request, reply)["measures"]["first frame SSIM"]
            for reply in (own, other)
        ]
        if sample.kind == "first frame":
            assert similarity[0] > 0.99 > similarity[1]
    assert SlowVideoSample(0, "slow videos", False, 2).request(0).text.endswith("moving up slowly")


def test_a_tiny_model_is_measured_and_shown(tmp_path) -> None:
    plan = MatrixPlan(("edits", "light:audio"), count=2, splits=(True,), batch_size=4)
    results = evaluate_matrix(ModelPredictor(tiny_model(), max_new_tokens=8), plan, tmp_path)
    assert results["total"]["count"] == len(plan.samples()) == 4
    json.dumps(results)
    page = (tmp_path / "gallery" / "00-1.html").read_text("utf-8")
    assert "edits (held out)" in page and "asked 0.000" in page
