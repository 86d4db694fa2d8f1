"""MMBench: questions with up to four options, each asked with the options in every rotation.

File: a table such as `MMBench_DEV_EN.tsv`, as https://github.com/open-compass/MMBench publishes it:
`index`, `question`, `hint`, `A` to `D`, `answer`, `category`, `l2-category`, `image` in base64 or
the index of another row with the same picture. Rows whose index is a million or more higher are
rotations of a question that the table already holds; where it holds none, they are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from anymodal.data.containers import open_rows
from anymodal.data.containers.tables import CsvRows
from anymodal.evaluation.benchmarks.base import (
    Benchmark,
    BenchmarkRow,
    PlacedRow,
    container_rows,
    row_text,
)
from anymodal.metrics import Metric
from anymodal.metrics.options import LETTERS, OptionAccuracy, option_of
from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage

_ROTATED = 1_000_000
"""Indices from here on are rotations of the question of the index modulo this."""
_OPTIONS = LETTERS[:5]
_SHORT = 64
"""Characters up to which a picture's value is another row's index."""


class MmBench(Benchmark):
    """MMBench, by circular evaluation: over all, by category and by ability (`l2-category`).

    The prompt is that of its authors (VLMEvalKit): hint, question, options, and "Please select the
    correct answer from the options above.". Replies are matched with options by letter and by
    words; what matches none, a judge may match, as theirs do.
    """

    home = "https://github.com/open-compass/MMBench"
    max_new_tokens = 64

    def rows(self) -> Iterator[PlacedRow]:
        path = self.path if self.path.is_file() else self.file("MMBench_DEV_EN.tsv", "mmbench.tsv")
        self._rows = open_rows(path, index_dir=self.source.unpacked / "index")
        if isinstance(self._rows, CsvRows):
            self._rows.keep_texts(self._rows.header)  # an option may be code
        # A picture that several rows have stands in one of them, wherever in the table.
        self._numbers = dict[str, int]()
        for _, row in container_rows(self._rows):
            if not isinstance(row, ValueError):
                self._numbers[str(row.get("index"))] = row["number"]
        indices = [int(name) for name in self._numbers if name.isdecimal()]
        self._has_rotations = any(index >= _ROTATED for index in indices)
        self._num_passes = Counter(index % _ROTATED for index in indices)
        yield from container_rows(self._rows)

    def samples_of(self, row: BenchmarkRow) -> list[EvaluationSample]:
        index = int(row["index"])
        options = [str(row[letter]) for letter in _OPTIONS if not _is_empty(row.get(letter))]
        answer = _OPTIONS.find(str(row.get("answer") or "-"))
        if not 0 <= answer < len(options):
            raise ValueError(
                f"its answer is {row.get('answer')!r}, none of {len(options)} options; the test "
                "split is scored by its authors' server alone"
            )
        file = self._picture(index, row_text(row, "image"))
        rotations = 1 if self._has_rotations else len(options)
        groups = (str(row["category"]), f"ability {row.get('l2-category') or row['category']}")
        hint = "" if _is_empty(row.get("hint")) else f"Hint: {row['hint']}\n"
        samples = []
        for shift in range(rotations):
            rotated = (*options[shift:], *options[:shift])
            prompt = f"{hint}{_question_text(row_text(row, 'question'), rotated)}"
            samples.append(
                EvaluationSample(
                    str(index + shift * _ROTATED),
                    self.question(file, prompt),
                    choices=rotated,
                    answer=options[answer],
                    groups=groups,
                    unit=str(index % _ROTATED),
                    unit_size=self._num_passes[index % _ROTATED] * rotations,
                )
            )
        return samples

    def _picture(self, index: int, value: str) -> SampleFile:
        if len(value) <= _SHORT:
            if value not in self._numbers:
                raise ValueError(f"its picture is that of row {value}, which isn't there")
            value = row_text(self._rows[self._numbers[value]], "image")
        return self.unpack(value, str(index % _ROTATED), ".jpg")

    def metrics(self) -> dict[str, Metric]:
        return {"mmbench": OptionAccuracy()}

    def judge_samples(
        self, samples: Sequence[EvaluationSample], replies: Mapping[str, SampleMessage]
    ) -> list[EvaluationSample]:
        return [
            EvaluationSample(sample.id, (SampleMessage("user", (_matching(sample, text),)),))
            for sample in samples
            if sample.id in replies
            and (text := replies[sample.id].text).strip()
            and option_of(text, sample.choices) is None
        ]

    def measured_reply(
        self, reply: SampleMessage, judgement: SampleMessage | None
    ) -> SampleMessage | None:
        return judgement or reply


def _question_text(question: str, options: Sequence[str]) -> str:
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    text = "\n".join([f"Question: {question}", "Options:", *lines])
    return f"{text}\nPlease select the correct answer from the options above."


def _matching(sample: EvaluationSample, reply: str) -> str:
    """A request to match a reply with an option; section 4.2 of the paper describes it."""
    content = sample.turns[0].content[-1]
    return (
        "A question with options was answered in free words. Tell which option the answer means. "
        "Reply with the letter of that option alone, or with Z if it means none of them.\n\n"
        f"{content}\n\nAnswer: {reply}\n\nLetter:"
    )


def _is_empty(value: object) -> bool:
    """Return whether a cell is empty, as data frames write it."""
    return value is None or str(value).strip().lower() in ("", "nan")
