"""ImgEdit-Bench: edits of pictures, scored by a judge.

Files: of the basic suite `basic_edit.json` or `singleturn.json`, an object of `id` (the picture),
`prompt` and `edit_type` by key, with `judge_prompt.json` or `prompts.json`, the judge's prompt by
type; of the UGE suite `UGE_edit.json`, the same without types, whose judge's prompt stands in
`UGE_bench.py` beside it. The pictures lie in the folder or in `original_images/`. See
https://github.com/PKU-YuanGroup/ImgEdit and `Benchmark.tar` of its data set.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from anymodal.config import ConfigError
from anymodal.evaluation.benchmarks.base import (
    Benchmark,
    BenchmarkRow,
    PlacedRow,
    object_row,
    read_json,
    row_text,
)
from anymodal.metrics import Metric
from anymodal.metrics.judged import JudgeScore
from anymodal.metrics.samples import EvaluationSample, SampleMessage

_BASIC, _UGE = ("basic_edit.json", "singleturn.json"), ("UGE_edit.json",)
_PROMPTS = ("judge_prompt.json", "prompts.json")
_UGE_PROMPT, _UGE_TYPE = "UGE_bench.py", "UGE"
_EDIT_MARK = "<edit_prompt>"


class ImgEdit(Benchmark):
    """ImgEdit-Bench's basic or UGE suite, by the judge's mean score over all and by type of edit.

    The model gets the picture and the instruction, and the first media item of its reply is what
    the judge sees beside the picture, with the published prompt of the type of edit. A reply
    without one is missing. The suite of several turns is judged by people alone.
    """

    home = "https://github.com/PKU-YuanGroup/ImgEdit"
    splits = ("basic", "uge")
    media_folders = ("", "original_images")
    max_new_tokens = 256
    needs_judge = True

    def rows(self) -> Iterator[PlacedRow]:
        path = self.file(*(_BASIC if self.split == "basic" else _UGE))
        value = read_json(path)
        if not isinstance(value, dict):
            raise ConfigError(f"{path} is no object of edits by key")
        self._prompts = self._judge_prompts()
        for key, row in value.items():
            yield PlacedRow(f"{path.name}, {key}", object_row(row, key=key))

    def _judge_prompts(self) -> dict[str, str]:
        folder = self.path.parent if self.path.is_file() else self.path
        names = _PROMPTS if self.split == "basic" else (_UGE_PROMPT,)
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is None:
            raise ConfigError(f"there is no {' or '.join(names)} in {folder}; see {self.home}")
        if self.split == "uge":
            return {_UGE_TYPE: _text_in_program(path.read_text("utf-8"))}
        prompts = read_json(path)
        if not isinstance(prompts, dict) or not all(isinstance(v, str) for v in prompts.values()):
            raise ConfigError(f"{path} is no object of prompts by type of edit")
        return prompts

    def samples_of(self, row: BenchmarkRow) -> list[EvaluationSample]:
        edit_type = row_text(row, "edit_type") if self.split == "basic" else _UGE_TYPE
        if edit_type not in self._prompts:
            raise ValueError(f"there is no judge's prompt for edits of type {edit_type!r}")
        question = self.question(self.media_file(row["id"]), row_text(row, "prompt"))
        # The judge reads the instruction as published, whatever the model is told around it.
        return [
            EvaluationSample(
                row["key"], question, caption=row_text(row, "prompt"), groups=(edit_type,)
            )
        ]

    def metrics(self) -> dict[str, Metric]:
        return {"imgedit": JudgeScore()}

    def judge_samples(
        self, samples: Sequence[EvaluationSample], replies: Mapping[str, SampleMessage]
    ) -> list[EvaluationSample]:
        questions = []
        for sample in samples:
            results = replies[sample.id].files if sample.id in replies else []
            if results:
                prompt = self._prompts[sample.groups[0]].replace(_EDIT_MARK, sample.caption)
                turn = SampleMessage("user", (prompt, *sample.turns[0].files, results[0]))
                questions.append(EvaluationSample(sample.id, (turn,)))
        return questions

    def measured_reply(
        self, reply: SampleMessage, judgement: SampleMessage | None
    ) -> SampleMessage | None:
        # A message without a score counts as missing; where the judge failed, nothing counts.
        return SampleMessage("assistant", ()) if not reply.files else judgement


def _text_in_program(program: str) -> str:
    """The text that a program assigns to `prompt`; nothing of it is run.

    Raises:
        ConfigError: if there is none.
    """
    try:
        for node in ast.parse(program).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "prompt":
                return str(ast.literal_eval(node.value))
    except (SyntaxError, ValueError):
        pass
    raise ConfigError(f"{_UGE_PROMPT} assigns no text to `prompt`")
