"""VQAv2: a question about a picture, and the answers of ten people.

Files: `v2_OpenEnded_mscoco_val2014_questions.json`, `v2_mscoco_val2014_annotations.json` and COCO's
pictures in `val2014/`, as https://visualqa.org/download.html has them.
"""

from __future__ import annotations

from collections.abc import Iterator

from anymodal.config import ConfigError
from anymodal.evaluation.benchmarks.base import (
    Benchmark,
    BenchmarkRow,
    PlacedRow,
    read_json,
    row_text,
)
from anymodal.metrics import Metric
from anymodal.metrics.samples import EvaluationSample
from anymodal.metrics.vqa import VqaAccuracy


class VqaV2(Benchmark):
    """VQAv2, by VQA accuracy over all, by type of answer and by type of question.

    Its authors publish no prompt for models that chat; the one here is LLaVA-1.5's (Liu et al.
    2023, arXiv:2310.03744, section 3.2), with which most figures of such models are computed.
    """

    home = "https://visualqa.org/download.html"
    splits = ("val", "train")
    media_folders = ("", "val2014", "train2014", "images")

    def rows(self) -> Iterator[PlacedRow]:
        if self.path.is_file():
            raise ConfigError(
                f"{self.path} is a file; name the folder of questions and annotations"
            )
        name = f"mscoco_{self.split}2014"
        path = self.file(f"v2_OpenEnded_{name}_questions.json")
        questions = _list_in(read_json(path), "questions", path)
        annotations_path = self.file(f"v2_{name}_annotations.json")
        annotations = {
            str(each.get("question_id")): each
            for each in _list_in(read_json(annotations_path), "annotations", annotations_path)
        }
        for number, question in enumerate(questions):
            answers = annotations.get(str(question.get("question_id")), {})
            yield PlacedRow(f"{path.name}, question {number}", {**answers, **question})

    def samples_of(self, row: BenchmarkRow) -> list[EvaluationSample]:
        answers = row.get("answers")
        if not isinstance(answers, list) or not answers:
            raise ValueError(f"question {row['question_id']} has no answers in the annotations")
        file = self.media_file(f"COCO_{self.split}2014_{int(row['image_id']):012}.jpg")
        prompt = f"{row_text(row, 'question')}\nAnswer the question using a single word or phrase."
        return [
            EvaluationSample(
                str(row["question_id"]),
                self.question(file, prompt),
                references=tuple(row_text(answer, "answer") for answer in answers),
                groups=(f"answer {row['answer_type']}", f"question {row['question_type']}"),
            )
        ]

    def metrics(self) -> dict[str, Metric]:
        return {"vqa": VqaAccuracy()}


def _list_in(value: object, key: str, path: object) -> list[dict[str, object]]:
    items = value.get(key) if isinstance(value, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ConfigError(f"{path} has no list of objects under {key!r}")
    return items
