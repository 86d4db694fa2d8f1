"""The matrix: what is asked, how it is scored, summed up, kept and resumed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from anymodal import media
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.toybox.grammar.dialogues import KINDS
from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.matrix import (
    ANY,
    MAIN,
    PARAPHRASE,
    MatrixPlan,
    evaluate_matrix,
    parse_tasks,
    run_dialogues,
)
from anymodal.toybox.matrix_report import matrix_table
from anymodal.toybox.render import MODALITIES, render_scene
from anymodal.toybox.scene import Scene
from anymodal.toybox.scoring import read_attributes
from anymodal.toybox.variations import render_varied
from anymodal.types import Message
from tests.support.tiny import tiny_model

BELL = Scene("bell", "red", "big", "still", "fast")


class Knowing:
    """Answers each conversation of a plan as its reference does, or as another one's does."""

    def __init__(self, plan: MatrixPlan, shift: int = 0) -> None:
        self.calls = 0
        self.told: dict[int, list] = {}
        samples = plan.samples()
        for index, sample in enumerate(samples):
            other = samples[(index + shift) % len(samples)]
            if shift and len(other.dialogue.answers) != len(sample.dialogue.answers):
                raise AssertionError("a shift needs conversations of the same length")
            for turn in range(len(sample.dialogue.answers)):
                self.told[sample.reply_seed(turn)] = other.dialogue.turns[2 * turn + 1].parts

    def metadata(self) -> str:
        return "knowing"

    def __call__(self, conversations: list[list[Message]], seeds: list[int]) -> list[Message]:
        self.calls += 1
        assert all(messages[-1].role == "user" for messages in conversations)
        return [self._reply(seed) for seed in seeds]

    def _reply(self, seed: int) -> Message:
        rng = np.random.default_rng(seed)
        parts = [
            render_scene(part.scene, part.modality, rng) if isinstance(part, MediaItem) else part
            for part in self.told[seed]
        ]
        return Message("assistant", parts)


def lines_of(results: dict) -> dict[str, dict]:
    return {line["line"]: line for line in results["results"]}


def test_who_answers_right_is_right_in_everything():
    every = tuple(KINDS)
    plan = MatrixPlan((*every, ANY), count=1, batch_size=8)
    results = evaluate_matrix(Knowing(plan), plan)
    total = results["total"]
    assert total["count"] == len(every) + 1
    assert total["share"] > 0.97  # the oracles themselves are right in 99 %
    assert total["media"]["share"] == 1
    assert lines_of(results)["talk"]["share"] is None


def test_the_held_out_split_is_another_line():
    plan = MatrixPlan(("text>image", "image>text"), count=4, splits=(False, True))
    results = evaluate_matrix(Knowing(plan), plan)
    shown = [(line["line"], line["unseen"]) for line in results["results"]]
    assert shown == [(kind, unseen) for kind in plan.tasks for unseen in (False, True)]
    for sample in plan.samples():
        scenes = [m.scene for turn in sample.dialogue.turns for m in turn.media]
        assert all(scene.held_out == sample.unseen for scene in scenes)


def test_who_answers_another_request_is_at_chance():
    plan = MatrixPlan(("text>image",), count=60)
    found = lines_of(evaluate_matrix(Knowing(plan, shift=1), plan))["text>image"]
    assert found["media"]["share"] == 1
    assert found["share"] == pytest.approx(found["chance"], abs=0.12)
    assert found["chance"] == pytest.approx((1 / 12 + 1 / 8 + 1 / 2) / 3)


def test_what_only_the_medium_tells_is_scored_alone():
    plan = MatrixPlan(("imu>image", "text>image"), count=6)
    found = lines_of(evaluate_matrix(Knowing(plan), plan))
    assert set(found["imu>image"]["input"]["by_attribute"]) == {"size"}
    assert found["text>image"]["input"]["share"] is None


class _Silent:
    """Says nothing, or always the same."""

    def __init__(self, *parts) -> None:
        self.parts = parts
        self.seen: list[list[Message]] = []

    def metadata(self) -> str:
        return "silent"

    def __call__(self, conversations, seeds):
        self.seen += conversations
        return [Message("assistant", list(self.parts)) for _ in seeds]


def test_missing_and_unrequested_media_are_noticed():
    plan = MatrixPlan(("text>image", "talk", "text>image+audio"), count=3)
    nothing = lines_of(evaluate_matrix(_Silent(), plan))
    assert nothing["text>image"]["media"]["share"] == 0
    assert nothing["text>image"]["share"] == 0
    assert nothing["talk"]["media"]["share"] == 1
    picture = render_scene(BELL, "image", np.random.default_rng(0))
    always = lines_of(evaluate_matrix(_Silent(picture), plan))
    assert always["text>image"]["media"]["share"] == 1
    assert always["talk"]["media"]["share"] == 0
    assert always["text>image+audio"]["media"]["share"] == 0


def test_the_history_is_the_answerers_own():
    plan = MatrixPlan(("edit:color",), count=2)
    picture = render_scene(BELL, "image", np.random.default_rng(0))
    predictor = _Silent("Look: ", picture)
    records = run_dialogues(predictor, plan.samples())
    later = [messages for messages in predictor.seen if len(messages) > 1]
    assert later
    for messages in later:
        assert messages[1].content == ["Look: ", picture]
    assert [len(record["turns"]) for record in records] == [
        len(sample.dialogue.answers) for sample in plan.samples()
    ]


def test_a_stopped_run_goes_on_where_it_stopped(tmp_path):
    plan = MatrixPlan(("text>image", "edit:size"), count=5, batch_size=4)
    whole = evaluate_matrix(Knowing(plan), plan)

    class Stopping(Knowing):
        def __call__(self, conversations, seeds):
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().__call__(conversations, seeds)

    with pytest.raises(KeyboardInterrupt):
        evaluate_matrix(Stopping(plan), plan, tmp_path)
    path = tmp_path / "samples.jsonl"
    kept = path.read_text().splitlines()
    assert len(kept) == 1 + 4  # what the samples are of, and the first batch
    path.write_text("\n".join(kept[:-1]) + "\n" + kept[-1][:40])  # killed while writing
    assert evaluate_matrix(Knowing(plan), plan, tmp_path) == whole
    done = Knowing(plan)
    assert evaluate_matrix(done, plan, tmp_path) == whole
    assert done.calls == 0
    assert len(path.read_text().splitlines()) == 1 + 10


def test_what_was_shown_and_made_can_be_looked_at(tmp_path):
    plan = MatrixPlan(("image>video", "edit:color"), count=2)
    evaluate_matrix(Knowing(plan), plan, tmp_path)
    lines = (tmp_path / "samples.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines[1:]]
    kept = [
        part
        for record in records
        for turn in record["turns"]
        for part in (*turn["request"], *turn["reply"])
        if isinstance(part, dict)
    ]
    assert len(kept) == 2 * 2 + 2 * 2
    assert all(media.load(tmp_path / part["path"]).kind == part["kind"] for part in kept)
    index = (tmp_path / "gallery" / "index.html").read_text()
    assert "image → video" in index and 'href="01-1.html"' in index
    page = (tmp_path / "gallery" / "00-1.html").read_text()
    assert page.count("<video") == 2 and page.count("<img") == 2 and "✗" not in page


def test_the_gallery_marks_what_is_wrong(tmp_path):
    plan = MatrixPlan(("text>image",), count=30)
    evaluate_matrix(Knowing(plan, shift=1), plan, tmp_path)
    first, second = ((tmp_path / "gallery" / f"00-{n}.html").read_text() for n in (1, 2))
    assert "read as" in first and "✗" in first
    assert first.count("<img") == 20 and second.count("<img") == 10


def test_a_smaller_plan_uses_what_a_larger_one_kept(tmp_path):
    plan = MatrixPlan(("text>image", "talk"), count=3)
    evaluate_matrix(Knowing(plan), plan, tmp_path)
    smaller = MatrixPlan(("text>image",), count=2)
    predictor = Knowing(smaller)
    assert evaluate_matrix(predictor, smaller, tmp_path)["total"]["count"] == 2
    assert predictor.calls == 0


def test_samples_of_another_seed_or_model_are_not_mixed(tmp_path):
    plan = MatrixPlan(("talk",), count=1)
    evaluate_matrix(Knowing(plan), plan, tmp_path)
    other = MatrixPlan(("talk",), count=1, seed=1)
    with pytest.raises(ValueError, match="another seed"):
        evaluate_matrix(Knowing(other), other, tmp_path)
    with pytest.raises(ValueError, match="another model"):
        evaluate_matrix(_Silent(), plan, tmp_path)


def test_records_tell_what_was_asked_said_and_measured():
    plan = MatrixPlan(("image>text",), count=1)
    record = json.loads(json.dumps(run_dialogues(Knowing(plan), plan.samples())[0]))
    turn = record["turns"][0]
    assert record["kind"] == "image>text"
    assert turn["request"][0]["kind"] == "image"
    assert turn["request"][0]["caption"]
    assert turn["media"] == {"asked": [], "given": []}
    assert turn["read"][0].items() >= turn["wanted"][0].items()


def test_the_table_names_every_line():
    plan = MatrixPlan(("text>image", "talk"), count=2, splits=(False, True))
    text = matrix_table(evaluate_matrix(Knowing(plan), plan))
    head, _, *rows = text.split("\n\n")[0].splitlines()
    cells = [cell.strip() for cell in head.strip("|").split("|")]
    assert cells == [
        "conversation", "n", "seen %", "95 %", "told by input %", "held out %", "95 %",
        "told by input %", "chance %", "media %",
    ]  # fmt: skip
    assert [row.split("|")[1].strip() for row in rows] == ["text → image", "talk", "all of these"]
    assert [row.split("|")[2].strip() for row in rows] == ["4", "4", "8"]
    assert "| talk (held out) " in text
    assert "all of these" in text
    assert text.count("\n\n") == 1


def test_lines_to_measure():
    assert parse_tasks("main") == MAIN
    assert parse_tasks("all") == (*KINDS, ANY, PARAPHRASE)
    assert parse_tasks("talk, any") == ("talk", ANY)
    with pytest.raises(ValueError, match="did you mean 'text>image'"):
        parse_tasks("text>imag")


@pytest.mark.parametrize("modality", MODALITIES)
def test_varied_media_are_other_files_of_the_same_scene(modality):
    scene = BELL.replace(motion="left")
    first, again, other = (
        render_varied(scene, modality, np.random.default_rng(k)) for k in (0, 0, 1)
    )
    assert first.kind == modality
    assert repr(first) == repr(again)  # an encoder with threads may differ in a few bits
    assert first.digest() != other.digest()


def test_varied_media_still_tell_their_scene():
    told = {"thing": "bell", "color": "red", "size": "big"}
    for seed in range(5):
        assert (
            read_attributes("image", render_varied(BELL, "image", np.random.default_rng(seed)))
            == told
        )


def test_a_varied_plan_shows_other_media_and_keeps_them_apart(tmp_path):
    plain, varied = (
        MatrixPlan(("image>text",), count=1, varied=varied) for varied in (False, True)
    )
    shown = [plan.samples()[0].request(0).media[0] for plan in (plain, varied)]
    assert shown[0].digest() != shown[1].digest()
    assert plain.samples()[0].dialogue == varied.samples()[0].dialogue
    evaluate_matrix(Knowing(plain), plain, tmp_path)
    with pytest.raises(ValueError, match="other settings"):
        evaluate_matrix(Knowing(varied), varied, tmp_path)


def test_only_what_the_toybox_renders_is_varied():
    with pytest.raises(ValueError, match="not 'smell'"):
        render_varied(BELL, "smell", np.random.default_rng(0))


def test_a_tiny_model_is_measured_and_its_samples_kept(tmp_path):
    model = tiny_model()
    answers = ModelPredictor(model, max_new_tokens=12)
    plan = MatrixPlan(("text>image", "imu>text", "retell"), count=2, batch_size=4)
    results = evaluate_matrix(answers, plan, tmp_path)
    total = results["total"]
    assert total["count"] == 6
    assert 0 <= total["share"] <= 1
    assert 0 <= total["media"]["share"] <= 1
    assert evaluate_matrix(answers, plan, tmp_path) == results
    assert ModelPredictor(model).metadata() != answers.metadata()
