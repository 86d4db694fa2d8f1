"""Pairs of replies, and those that people chose as rows for preference training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from anymodal.evaluation.run import ReplySampleFile

MODELS: tuple[Literal["a", "b"], Literal["a", "b"]] = ("a", "b")


class PairMessage(TypedDict):
    """A message of a pair, its media in files of the comparison's folder."""

    role: str
    content: list[str | ReplySampleFile]


class ReplyPair(TypedDict):
    """A prompt with the replies of both models.

    Attributes:
        id: of the prompt.
        prompt: its messages.
        a: parts of the one model's reply.
        b: parts of the other's.
        left: the model whose reply stands on the left.
    """

    id: str
    prompt: list[PairMessage]
    a: list[str | ReplySampleFile]
    b: list[str | ReplySampleFile]
    left: Literal["a", "b"]


def preference_row(pair: ReplyPair, winner: str) -> dict[str, object]:
    """A pair as a row for preference training, the reply of `winner` being the chosen one."""
    chosen, rejected = (pair["a"], pair["b"]) if winner == MODELS[0] else (pair["b"], pair["a"])
    return row_of_replies(pair["prompt"], chosen, rejected)


def row_of_replies(
    messages: Sequence[PairMessage],
    chosen: list[str | ReplySampleFile],
    rejected: list[str | ReplySampleFile],
    caption: str = "",
) -> dict[str, object]:
    """A row for preference training, as `anymodal.data.preferences.Preferences` reads it.

    Media that a model made stand as targets.

    Args:
        messages: what was asked.
        chosen: parts of the better reply.
        rejected: parts of the worse one.
        caption: of the targets; the text of the request where it is empty.
    """
    last = messages[-1]["content"]
    caption = caption or " ".join(part.strip() for part in last if isinstance(part, str)).strip()
    prompt: list[dict[str, object]] = [
        {"role": turn["role"], "content": [_part_json(part) for part in turn["content"]]}
        for turn in messages
    ]

    def conversation(reply: list[str | ReplySampleFile]) -> list[dict[str, object]]:
        parts = [_target_json(part, caption) for part in reply]
        return [*prompt, {"role": "assistant", "content": parts}]

    return {"messages": conversation(chosen), "rejected_messages": conversation(rejected)}


def _part_json(part: str | ReplySampleFile) -> dict[str, object]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    how = part.get("how")
    return {
        "type": part["kind"],
        part["kind"]: {"path": part["path"], **how} if how else part["path"],
    }


def _target_json(part: str | ReplySampleFile, caption: str) -> dict[str, object]:
    record = _part_json(part)
    if isinstance(part, str):
        return record
    target = {"modality": part["kind"], "caption": caption, "media": record}
    return {"type": "target", "target": target}
