"""Replies with their scores, and pairs of them as rows for preference training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from anymodal.evaluation.comparison import copied_parts
from anymodal.evaluation.preference_rows import PairMessage, row_of_replies
from anymodal.evaluation.run import ReplySampleFile
from anymodal.io.checkpoint import replacing
from anymodal.metrics.samples import EvaluationSample, SampleMessage
from anymodal.tools.pairs.scorers import ReplyScore


@dataclass(frozen=True)
class ScoredReply:
    """A reply with its scores.

    Args:
        id: its name.
        message: itself, its media in files.
        scores: by the scorer's name; None where there is none.
        weights: of scorers in the sum; 1 where one isn't named.
    """

    id: str
    message: SampleMessage
    scores: Mapping[str, ReplyScore | None]
    weights: Mapping[str, float]

    @property
    def values(self) -> dict[str, float | None]:
        """Scores by the scorer's name; None where the reply couldn't be scored."""
        return {name: None if score is None else score.value for name, score in self.scores.items()}

    @property
    def total(self) -> float | None:
        """The weighted sum of all scores; None if one is missing."""
        total = 0.0
        for name, value in self.values.items():
            if value is None:
                return None
            total += self.weights.get(name, 1.0) * value
        return total

    def line(self, prompt: str) -> dict[str, object]:
        """All that is known of it, ready for JSON."""
        parts = [
            part if isinstance(part, str) else {"file": part.name} for part in self.message.content
        ]
        details = {
            name: score.details for name, score in self.scores.items() if score and score.details
        }
        return {
            "id": self.id, "prompt": prompt, "reply": parts, "total": self.total,
            "scores": self.values, "details": details,
        }  # fmt: skip


@dataclass(frozen=True)
class ScoredPair:
    """A better and a worse reply to a prompt, their media in files of one folder.

    Args:
        sample: the prompt.
        messages: its messages.
        chosen: the better reply.
        rejected: the worse one.
        parts: of the better and of the worse reply.
    """

    sample: EvaluationSample
    messages: list[PairMessage]
    chosen: ScoredReply
    rejected: ScoredReply
    parts: tuple[list[str | ReplySampleFile], list[str | ReplySampleFile]]

    @classmethod
    def copied(
        cls, folder: Path, sample: EvaluationSample, chosen: ScoredReply, rejected: ScoredReply
    ) -> ScoredPair:
        """The pair, its media copied into the folder."""
        messages: list[PairMessage] = [
            {"role": turn.role, "content": copied_parts(turn, folder)} for turn in sample.turns
        ]
        parts = copied_parts(chosen.message, folder), copied_parts(rejected.message, folder)
        return cls(sample, messages, chosen, rejected, parts)

    def row(self) -> dict[str, object]:
        """The row, with the sums of scores, and each score as metadata."""
        return {
            "id": f"{self.chosen.id} > {self.rejected.id}",
            **row_of_replies(self.messages, *self.parts, caption=self.sample.caption),
            "chosen_score": self.chosen.total,
            "rejected_score": self.rejected.total,
            "metadata": {"chosen": self.chosen.values, "rejected": self.rejected.values},
        }


def write_json_lines(path: Path, values: Iterable[Mapping[str, object]]) -> None:
    """Write a line of JSON for each value, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{json.dumps(value)}\n" for value in values), "utf-8")
