"""Questions in POPE's manner: balanced, with negatives of three kinds, as its files have them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from anymodal.cli.command_line import USAGE, main
from anymodal.config import ConfigError
from anymodal.evaluation.benchmarks.base import BenchmarkSource
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
