"""MME: fourteen folders of pictures, each with two questions with yes or no.

Files: a folder a category, with `NAME.txt` beside `NAME.jpg` or `NAME.png`, or with the pictures in
`images/` and the texts in `questions_answers_YN/`. A text has two lines, each a question and its
answer with a tab between, as `MME_Benchmark_release_version` has them, see
https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models/tree/Evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anymodal.config import ConfigError
from anymodal.evaluation.benchmarks.base import Benchmark, BenchmarkRow, PlacedRow
from anymodal.metrics import Metric
from anymodal.metrics.mme import COGNITION, PERCEPTION, MmeScore
from anymodal.metrics.samples import EvaluationSample, SampleFile

_SUFFIXES = (".jpg", ".png", ".jpeg")
_PICTURES, _TEXTS = "images", "questions_answers_YN"


class Mme(Benchmark):
    """MME, by acc, acc+ and score of each category, and the totals of perception and cognition.

    The prompt is the question, which ends with "Please answer yes or no.".
    """

    home = "https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models/tree/Evaluation"

    def rows(self) -> Iterator[PlacedRow]:
        names = (*PERCEPTION, *COGNITION)
        folders = [self.path / name for name in names if (self.path / name).is_dir()]
        if not folders:
            raise ConfigError(f"{self.path} has none of the folders {', '.join(names)}")
        for folder in folders:
            texts = folder / _TEXTS if (folder / _TEXTS).is_dir() else folder
            for text in sorted(texts.glob("*.txt")):
                yield PlacedRow(f"{folder.name}/{text.name}", {"folder": folder, "text": text})

    def samples_of(self, row: BenchmarkRow) -> list[EvaluationSample]:
        folder: Path = row["folder"]
        text: Path = row["text"]
        file = _picture(folder, text.stem)
        lines = [line for line in text.read_text("utf-8-sig").splitlines() if line.strip()]
        if len(lines) != 2:
            raise ValueError(f"it has {len(lines)} lines, and a picture has two questions")
        unit = f"{folder.name}/{text.stem}"
        samples = []
        for number, line in enumerate(lines, 1):
            question, _, answer = line.rstrip().rpartition("\t")
            if not question or answer.lower() not in ("yes", "no"):
                raise ValueError(f"line {number} is no question, tab, and Yes or No")
            samples.append(
                EvaluationSample(
                    f"{unit}/{number}",
                    self.question(file, question.strip()),
                    answer=answer.lower(),
                    groups=(folder.name,),
                    unit=unit,
                    unit_size=2,
                )
            )
        return samples

    def metrics(self) -> dict[str, Metric]:
        return {"mme": MmeScore()}


def _picture(folder: Path, stem: str) -> SampleFile:
    for place in (folder / _PICTURES, folder):
        for suffix in _SUFFIXES:
            if (path := place / f"{stem}{suffix}").is_file():
                return SampleFile(path, f"{folder.name}/{path.name}")
    raise ValueError(f"there is no {stem}{' or '.join(_SUFFIXES)} in {folder}")
