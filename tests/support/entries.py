"""Entries of data sets in the shapes they are published in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anymodal.data.conversations import Conversations
from tests.support.tiny import picture

SEEN = [picture(n, 8) for n in range(3)]


def read(folder: Path, entry: Any, **how: Any) -> list[tuple[str, list[Any]]]:
    (folder / "d.json").write_text(json.dumps([entry]))
    return [(m.role, m.content) for m in Conversations(folder / "d.json", **how)[0]]


def share(question: str, reply: str, *more: str) -> list[dict[str, str]]:
    """Turns as ShareGPT and LLaVA have them."""
    roles = ("human", "gpt")
    turns = enumerate((question, reply, *more))
    return [{"from": roles[n % 2], "value": text} for n, text in turns]


def talk(question: Any, reply: Any) -> list[dict[str, Any]]:
    """Turns as OpenAI, LLaMA-Factory and ms-swift have them."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]


QUESTION = ("assistant", ["red"])
