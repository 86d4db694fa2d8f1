"""Tiny files in the layouts that authors of benchmarks publish, and predictors that answer them."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anymodal.evaluation.benchmark_run import BenchmarkJob, NamedPredictor
from anymodal.media import Image
from anymodal.types import Message
from tests.support.tiny import picture


class AnsweringBy:
    """A predictor that answers each conversation by a function of its text and media.

    Args:
        answer: gives the parts of a reply.
    """

    def __init__(self, answer: Callable[[str, Sequence[Any]], object]) -> None:
        self.answer, self.num_asked = answer, 0

    def metadata(self) -> str:
        return "by a function"

    def __call__(
        self, conversations: Sequence[list[Message]], seeds: Any, choices: Any = None
    ) -> list[Message]:
        self.num_asked += len(conversations)
        last = [conversation[-1] for conversation in conversations]
        return [Message("assistant", self.answer(each.text, each.media)) for each in last]


def named(answer: Callable[[str, Sequence[Any]], object]) -> NamedPredictor:
    return NamedPredictor("functions", lambda: AnsweringBy(answer))


def job(name: str, path: Path, out: Path, **settings: Any) -> BenchmarkJob:
    return BenchmarkJob(name, path, out, **settings)


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def save_picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return picture(seed).save(path)


def write_vqav2(folder: Path) -> Path:
    """Three questions with ten answers each, one whose picture isn't there."""
    entries = [
        (1, 9, "is it red", "yes/no", "is it", ["yes"] * 8 + ["no"] * 2),
        (2, 9, "how many", "number", "how many", ["2"] * 2 + ["two", "three"] + ["3"] * 6),
        (3, 10, "what is it", "other", "what is", ["a ball"] * 10),
    ]
    questions = [{"image_id": p, "question": f"{q}?", "question_id": n} for n, p, q, *_ in entries]
    annotations = [
        {
            "question_id": number, "image_id": place, "answer_type": kind, "question_type": begin,
            "multiple_choice_answer": answers[0],
            "answers": [
                {"answer": text, "answer_confidence": "yes", "answer_id": n}
                for n, text in enumerate(answers, 1)
            ],
        }
        for number, place, _, kind, begin, answers in entries
    ]  # fmt: skip
    info = {"data_type": "mscoco", "data_subtype": "val2014", "license": {}, "info": {}}
    write_json(
        folder / "v2_OpenEnded_mscoco_val2014_questions.json",
        {**info, "task_type": "Open-Ended", "questions": questions},
    )
    write_json(folder / "v2_mscoco_val2014_annotations.json", {**info, "annotations": annotations})
    save_picture(folder / "val2014" / "COCO_val2014_000000000009.jpg")
    return folder


def problem(**values: Any) -> dict[str, Any]:
    """A problem of ScienceQA with all its keys."""
    return {
        "question": "Which is a solid?", "choices": ["water", "rock"], "answer": 1, "hint": "",
        "image": None, "task": "closed choice", "grade": "grade3", "subject": "natural science",
        "topic": "physics", "category": "matter", "skill": "solids", "lecture": "", "solution": "",
        "split": "test", **values,
    }  # fmt: skip


def write_scienceqa(folder: Path) -> Path:
    """Four problems of the test split, one of them broken, and one of another split."""
    problems = {
        "5": problem(),
        "11": problem(
            image="image.png", hint="See the picture.", grade="grade8", subject="social science"
        ),
        "12": problem(answer=7),
        "20": problem(
            question="What is a word?",
            choices=["a noun", "a verb", "none"],
            answer=0,
            subject="language science",
            hint="Read.",
        ),
        "30": problem(split="train"),
    }
    write_json(folder / "problems.json", problems)
    splits = {"train": ["30"], "val": [], "test": ["5", "11", "12", "20"]}
    write_json(folder / "pid_splits.json", splits)
    save_picture(folder / "images" / "test" / "11" / "image.png")
    return folder


def write_mme(folder: Path) -> Path:
    """Two categories in the two layouts, and a text with a question too few."""
    ask = "Please answer yes or no."
    for name in ("a", "b"):
        lines = f"Is there a ball? {ask}\tYes\nIs there a bell? {ask}\tNo\n"
        save_picture(folder / "existence" / f"{name}.jpg")
        (folder / "existence" / f"{name}.txt").write_text(lines)
    save_picture(folder / "code_reasoning" / "images" / "0001.png")
    texts = folder / "code_reasoning" / "questions_answers_YN"
    texts.mkdir(parents=True)
    (texts / "0001.txt").write_text(f"Is it ball? {ask}\tYes\nIs it bell? {ask}\tNo\n")
    save_picture(folder / "existence" / "c.jpg")
    (folder / "existence" / "c.txt").write_text(f"Is there a ball? {ask}\tYes\n")
    return folder


def mmbench_row(index: int, **values: str) -> dict[str, str]:
    """A row of MMBench with all its columns."""
    return {
        "index": str(index), "question": "What is it?", "hint": "nan", "A": "a ball", "B": "a bell",
        "C": "nan", "D": "", "answer": "B", "category": "object_localization", "image": "",
        "source": "test", "l2-category": "finegrained_perception", "comment": "nan",
        "split": "dev", **values,
    }  # fmt: skip


def write_mmbench(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]], delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return path


def base64_picture(seed: int = 0, size: int = 16) -> str:
    medium: Image = picture(seed, size)
    return base64.b64encode(medium.encode(".png")).decode()


def write_nocaps(folder: Path) -> Path:
    """Two pictures of each domain with ten captions, and one without."""
    domains = ["in-domain", "near-domain", "out-domain"] * 2
    things = ["ball", "bell", "drum", "kite", "lamp", "boat"]
    images = [
        {
            "id": n, "file_name": f"{n:016x}.jpg", "domain": domain, "open_images_id": f"{n:016x}",
            "coco_url": f"https://s3.amazonaws.com/nocaps/val/{n:016x}.jpg", "width": 16,
            "height": 16, "license": 0, "date_captured": "2018-11-06 11:04:33",
        }
        for n, domain in enumerate([*domains, "in-domain"])
    ]  # fmt: skip
    annotations = [
        {"image_id": n, "id": 10 * n + k, "caption": f"A small {thing} stands on table {k}."}
        for n, thing in enumerate(things)
        for k in range(10)
    ]
    write_json(
        folder / "nocaps_val_4500_captions.json",
        {"licenses": [], "info": {}, "images": images, "annotations": annotations},
    )
    for entry in images:
        save_picture(folder / "images" / str(entry["file_name"]), int(str(entry["id"])))
    return folder


def write_pope(folder: Path) -> Path:
    """Two settings of four questions, and a row with another label."""
    name = "COCO_val2014_000000310196.jpg"
    save_picture(folder / "val2014" / name)
    for setting in ("random", "adversarial"):
        rows = [
            {"question_id": n, "image": name, "text": f"Is there a {thing} in the image?",
             "label": label}
            for n, (thing, label) in enumerate(
                [("snowboard", "yes"), ("dog", "no"), ("person", "yes"), ("tree", "no")], 1
            )
        ]  # fmt: skip
        rows += [{**rows[0], "question_id": 5, "label": "maybe"}] if setting == "random" else []
        lines = "\n".join(map(json.dumps, rows))
        (folder / f"coco_pope_{setting}.json").write_text(lines + "\n")
    return folder


def write_imgedit(folder: Path) -> Path:
    """Three edits of two types, and one whose type has no prompt."""
    edits = {
        "1082": {"id": "animal/1.jpg", "prompt": "Make it red.", "edit_type": "adjust"},
        "1068": {"id": "animal/1.jpg", "prompt": "Make it smooth.", "edit_type": "adjust"},
        "673": {"id": "animal/1.jpg", "prompt": "Paint it.", "edit_type": "style"},
        "9": {"id": "animal/1.jpg", "prompt": "Turn it.", "edit_type": "unknown"},
    }
    write_json(folder / "basic_edit.json", edits)
    prompts = {kind: f"Rate the {kind} edit: <edit_prompt>" for kind in ("adjust", "style")}
    write_json(folder / "judge_prompt.json", prompts)
    save_picture(folder / "original_images" / "animal" / "1.jpg")
    return folder
