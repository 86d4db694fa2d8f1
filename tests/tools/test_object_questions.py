"""Questions in POPE's manner: balanced, with negatives of three kinds, as its files have them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from anymodal.cli.command_line import USAGE, main
from anymodal.config import ConfigError
from anymodal.evaluation.benchmarks.base import BenchmarkSource
from anymodal.evaluation.benchmarks.coco_labels import coco_labels
from anymodal.evaluation.benchmarks.pope import Pope
from anymodal.metrics.object_names import ObjectNames
from anymodal.tools.dataset.object_questions import (
    LabelledMedium,
    ObjectQuestions,
    QuestionPlan,
    labelled_medium,
)
from anymodal.toybox.hallucination import SceneQuestions, write_labelled_scenes
from tests.support.tiny import picture

LABELS = [("cat", "dog"), ("cat", "dog"), ("cat", "tree"), ("owl", "dog"), ("owl",)]
MEDIA = [LabelledMedium(f"{n}.png", "image", labels) for n, labels in enumerate(LABELS)]


@pytest.mark.parametrize("setting", ["random", "popular", "adversarial"])
def test_each_label_has_a_yes_and_a_no(setting: str) -> None:
    questions = ObjectQuestions(MEDIA, QuestionPlan())
    rows = [*questions.rows(setting)]
    assert Counter(row["label"] for row in rows) == {"yes": 9, "no": 9}
    assert rows == [*questions.rows(setting)] and rows[0]["question_id"] == 1
    for row in rows:
        labels = LABELS[int(str(row["image"])[0])]
        name = str(row["text"]).split()[3]
        assert (name in labels) == (row["label"] == "yes")
    assert rows[0]["text"] in ("Is there a cat in this image?", "Is there a dog in this image?")


def test_negatives_are_frequent_or_stand_beside() -> None:
    questions = ObjectQuestions(MEDIA, QuestionPlan(count=1))
    popular = [row["text"] for row in questions.rows("popular") if row["label"] == "no"]
    # Of what the last one lacks, cats and dogs are the most frequent.
    assert "cat" in popular[-1] or "dog" in popular[-1]
    (beside,) = [r["text"] for r in questions.rows("adversarial") if r["image"] == "4.png"][1:]
    assert beside == "Is there a dog in this image?", "which stands beside owl"
    owl = next(row["text"] for row in questions.rows("random") if row["image"] == "4.png")
    assert owl == "Is there an owl in this image?"
    with pytest.raises(ConfigError, match="have 1 labels together"):
        ObjectQuestions(MEDIA[4:], QuestionPlan())
    with pytest.raises(ConfigError, match="each medium has all of the 2 labels"):
        ObjectQuestions([LabelledMedium("a.png", "image", ("cat", "dog"))], QuestionPlan())
    with pytest.raises(ConfigError, match="lacks {object}"):
        QuestionPlan(question="Is it so?")


def test_labels_stand_in_lists_texts_and_captions() -> None:
    names = ObjectNames(["cat, kitten", "dog"])
    row = {"image": "a.png", "labels": "kitten, owl", "caption": "A dog and a cat."}
    assert labelled_medium(row, names).labels == ("cat", "owl", "dog")
    assert labelled_medium({"image": "a.png", "label": "owl"}, None).labels == ("owl",)
    with pytest.raises(ValueError, match="stands in the row itself"):
        labelled_medium({"image": b"x", "labels": ["a"]}, None)


def test_one_thing_has_one_label() -> None:
    labels = [("cat", "a bench"), ("Cats",), ("CAT", "benches"), ("dog",)]
    media = [LabelledMedium(f"{n}.png", "image", each) for n, each in enumerate(labels)]
    questions = ObjectQuestions(media, QuestionPlan())
    assert questions.counts == {"cat": 3, "bench": 2, "dog": 1}
    for setting in ("random", "popular", "adversarial"):
        for row in questions.rows(setting):
            is_there = "cat" in str(row["text"]) and row["image"] != "3.png"
            assert not (is_there and row["label"] == "no"), "what is there under another form"
            assert "an a" not in str(row["text"])


def test_signs_of_a_name_are_part_of_it() -> None:
    labels = [("C", "C++"), ("c",), ("C#", "-1"), ("1",)]
    media = [LabelledMedium(f"{n}.png", "image", each) for n, each in enumerate(labels)]
    questions = ObjectQuestions(media, QuestionPlan())
    assert questions.counts == {"C": 2, "C++": 1, "C#": 1, "-1": 1, "1": 1}


def test_objects_with_their_categories_are_labels() -> None:
    row = {"image": "a.png", "objects": {"bbox": [[0, 0, 1, 1]] * 2, "category": ["cat", "dog"]}}
    assert labelled_medium(row, None).labels == ("cat", "dog")
    row = {"image": "a.png", "objects": [{"label": "cat"}, {"label": "owl"}]}
    assert labelled_medium(row, None).labels == ("cat", "owl")
    for wrong in ({"labels": [3]}, {"objects": {"category": [0, 1]}}):
        with pytest.raises(ValueError, match="give names of what is there"):
            labelled_medium({"image": "a.png", **wrong}, None)


def test_instances_of_coco_are_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "instances.json", tmp_path / "out"
    found = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(3)],
        "categories": [
            {"id": 7, "name": "cat"},
            {"id": 9, "name": "kitten"},
            {"id": 8, "name": "dog"},
        ],
        "annotations": [
            {"image_id": n, "category_id": c} for n, c in ((0, 7), (0, 9), (1, 8), (1, 8))
        ],
    }
    file.write_text(json.dumps(found))
    (tmp_path / "names.txt").write_text("cat, kitten\n")
    command = ["data", "questions", str(file), "--out", str(out)]
    assert main([*command, "--synonyms", str(tmp_path / "names.txt")]) == 0
    assert "2 media, 2 labels; 1 without a label" in capsys.readouterr().out
    rows = [json.loads(line) for line in (out / "own_pope_popular.json").open()]
    assert [(row["image"], row["label"]) for row in rows[:2]] == [("0.png", "yes"), ("0.png", "no")]
    twice = {**found, "images": [*found["images"], {"id": 3, "file_name": "0.png"}]}
    file.write_text(json.dumps({**twice, "annotations": [*found["annotations"][::2]]}))
    assert coco_labels(file) == {"0.png": ["cat"], "1.png": ["dog"], "2.png": []}
    found["annotations"].append({"image_id": 5, "category_id": 7})
    file.write_text(json.dumps(found))
    assert main(command) == USAGE
    assert "an annotation is of picture 5, which the file" in capsys.readouterr().err
    file.write_text(json.dumps({**found, "images": [{"id": 1}]}))
    assert main(command) == USAGE
    assert "one of the images has no file_name" in capsys.readouterr().err


def test_the_command_writes_what_the_benchmark_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"image": f"{n}.png", "labels": labels} for n, labels in enumerate(LABELS)]
    rows += [{"image": "0.png", "labels": ["cat"]}, {"image": "5.png"}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for number in range(6):
        picture(number).save(tmp_path / f"{number}.png")
    out = tmp_path / "questions"
    command = ["data", "questions", str(tmp_path / "a.jsonl"), "--out", str(out)]
    assert main([*command, "--question", "{object}?"]) == 0
    told = capsys.readouterr().out
    assert "18 questions" in told and "5 media, 4 labels; 1 without a label" in told
    samples, broken = Pope(BenchmarkSource(out, tmp_path, media=tmp_path)).read()
    assert len(samples) == 54 and not broken
    assert {sample.groups for sample in samples} == {
        *(("own random",), ("own popular",), ("own adversarial",))
    }
    assert main([*command, "--synonyms", "gone.txt"]) == USAGE


def test_scenes_of_the_toybox_are_labelled(tmp_path: Path) -> None:
    media = write_labelled_scenes(tmp_path, "image", 3, seed=2)
    names = ObjectNames.from_file(tmp_path / "synonyms.txt")
    for medium, line in zip(media, (tmp_path / "samples.jsonl").open(), strict=True):
        assert (tmp_path / medium.file).is_file() and len(medium.labels) == 3
        caption = json.loads(line)["references"][0]
        assert set(names.names_in([caption])) == set(medium.labels)
    questions = SceneQuestions(media, QuestionPlan())
    assert all(str(row["text"]).startswith("Is it ") for row in questions.rows("adversarial"))
