"""ScienceQA: school questions with options, half of them with a picture.

Files: `problems.json`, `pid_splits.json` and `images/SPLIT/NUMBER/image.png`, as
https://github.com/lupantech/ScienceQA unpacks them; or the Parquet files of
https://huggingface.co/datasets/derek-thomas/ScienceQA, which that page names too.
"""

from __future__ import annotations

from collections.abc import Iterator

from anymodal.config import ConfigError
from anymodal.data.containers import open_rows
from anymodal.evaluation.benchmarks.base import (
    Benchmark,
    BenchmarkRow,
    PlacedRow,
    container_rows,
    object_row,
    read_json,
    row_text,
)
from anymodal.metrics import Metric
from anymodal.metrics.options import LETTERS, OptionAccuracy
from anymodal.metrics.samples import EvaluationSample, SampleFile

_LOWER_GRADES = 6


class ScienceQa(Benchmark):
    """ScienceQA, by accuracy over all and over the eight classes of its table of results.

    The prompt is its authors' own without examples (QCM, `models/base_prompt.py`), with the picture
    before it. A reply that means no option is wrong, where their evaluation guesses.
    """

    home = "https://github.com/lupantech/ScienceQA"
    splits = ("test", "val", "train")
    media_folders = ("images", "")
    max_new_tokens = 64

    def rows(self) -> Iterator[PlacedRow]:
        if self.path.is_file() or not (self.path / "problems.json").is_file():
            yield from self._parquet_rows()
            return
        problems = read_json(self.path / "problems.json")
        numbers = read_json(self.file("pid_splits.json"))
        listed = numbers.get(self.split) if isinstance(numbers, dict) else None
        if not isinstance(problems, dict) or not isinstance(listed, list):
            raise ConfigError(f"{self.path}: pid_splits.json has no list {self.split!r}")
        for number in map(str, listed):
            row = object_row(problems.get(number), id=number)
            yield PlacedRow(f"problems.json, {number}", row)

    def _parquet_rows(self) -> Iterator[PlacedRow]:
        split = None if self.path.is_file() else self.split
        rows = open_rows(self.path, split=split, index_dir=self.source.unpacked / "index")
        yield from container_rows(rows)

    def samples_of(self, row: BenchmarkRow) -> list[EvaluationSample]:
        choices, answer = row["choices"], row["answer"]
        if not isinstance(answer, int) or not 0 <= answer < len(choices):
            raise ValueError(f"its answer {answer!r} numbers none of {len(choices)} choices")
        file, hint = self._picture(row), str(row.get("hint") or "").strip()
        options = " ".join(
            f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)
        )
        question = row_text(row, "question")
        text = f"Question: {question}\nContext: {hint or 'N/A'}\nOptions: {options}\nAnswer:"
        text = text.replace("  ", " ").strip()
        return [
            EvaluationSample(
                _name(row),
                self.question(text) if file is None else self.question(file, text),
                choices=tuple(map(str, choices)),
                answer=str(choices[answer]),
                groups=_classes(row, bool(hint), file is not None),
            )
        ]

    def _picture(self, row: BenchmarkRow) -> SampleFile | None:
        value = row.get("image")
        if isinstance(value, dict):  # as Hugging Face's data sets hold it
            value = value.get("bytes")
        if not value:
            return None
        if isinstance(value, bytes):
            return self.unpack(value, _name(row), ".png")
        return self.media_file(f"{row.get('split', self.split)}/{_name(row)}/{value}")

    def metrics(self) -> dict[str, Metric]:
        return {"scienceqa": OptionAccuracy()}


def _name(row: BenchmarkRow) -> str:
    """The number of a problem; rows of Parquet have none but their own."""
    return str(row.get("id", row.get("number")))


def _classes(row: BenchmarkRow, has_text: bool, has_picture: bool) -> tuple[str, ...]:
    """The classes of a question in the table of results: subject, context and grade."""
    subjects = {"natural science": "NAT", "social science": "SOC", "language science": "LAN"}
    grade = int(str(row["grade"]).removeprefix("grade"))
    classes = [subjects[str(row["subject"])]]
    classes += ["TXT"] * has_text + ["IMG"] * has_picture
    classes += ["NO"] * (not has_text and not has_picture)
    return (*classes, "G1-6" if grade <= _LOWER_GRADES else "G7-12")
