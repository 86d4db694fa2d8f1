"""POPE: questions with yes or no about things that are, or aren't, in a picture.

Files: `coco_pope_random.json`, `coco_pope_popular.json` and `coco_pope_adversarial.json`, JSON
Lines in the folder `output/coco` of https://github.com/AoiDragon/POPE, and COCO's pictures in
`val2014/`; so are those of other data sets, such as `gqa_pope_random.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from anymodal.config import ConfigError
from anymodal.evaluation.benchmarks.base import (
    Benchmark,
    BenchmarkRow,
    PlacedRow,
    object_row,
    row_text,
)
from anymodal.metrics import Metric, YesNo
from anymodal.metrics.groups import ByGroup
from anymodal.metrics.samples import EvaluationSample


class Pope(Benchmark):
    """POPE, by accuracy, precision, recall, F1 and share of yes in each of its settings.

    The prompt is the question, as its authors ask it.
    """

    home = "https://github.com/AoiDragon/POPE"
    media_folders = ("", "val2014", "images")

    def rows(self) -> Iterator[PlacedRow]:
        paths = [self.path] if self.path.is_file() else sorted(self.path.glob("*_pope_*.json"))
        if not paths:
            raise ConfigError(f"{self.path} has no file such as coco_pope_random.json")
        for path in paths:
            setting = path.stem.replace("_pope_", " ")
            lines = path.read_text("utf-8-sig").split("\n")
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield PlacedRow(f"{path.name}, line {number}", _row(line, setting))

    def samples_of(self, row: BenchmarkRow) -> list[EvaluationSample]:
        answer = row_text(row, "label").strip().lower()
        if answer not in ("yes", "no"):
            raise ValueError(f"its label is {answer!r}, neither yes nor no")
        return [
            EvaluationSample(
                f"{row['setting']}/{row['question_id']}",
                self.question(self.media_file(row["image"]), row_text(row, "text")),
                answer=answer,
                groups=(row["setting"],),
            )
        ]

    def metrics(self) -> dict[str, Metric]:
        return {"pope": ByGroup(YesNo)}


def pope_row(question_id: int, file: str, text: str, answer: str) -> dict[str, object]:
    """A row as POPE's files have it, whatever the kind of the file."""
    return {"question_id": question_id, "image": file, "text": text, "label": answer}


def _row(line: str, setting: str) -> BenchmarkRow | ValueError:
    try:
        row = json.loads(line)
    except ValueError as error:
        return error
    return object_row(row, setting=setting)
