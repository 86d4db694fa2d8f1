"""Entries of data sets in the shapes they are published in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anymodal.data.conversations import Conversations
from anymodal.media import Media
from anymodal.types import Target
from tests.support.tiny import picture

SEEN = [picture(n, 8) for n in range(3)]


def write_entry(folder: Path, entry: Any) -> Path:
    """A data set of one entry."""
    (folder / "d.json").write_text(json.dumps([entry]))
    return folder / "d.json"


def read(folder: Path, entry: Any, **how: Any) -> list[tuple[str, list[Any]]]:
    """Roles and contents of an entry, its files decoded."""
    messages = Conversations(write_entry(folder, entry), **how)[0]
    for part in (part for message in messages for part in message.content):
        medium = part.media if isinstance(part, Target) else part
        if isinstance(medium, Media):
            medium.decode()
    return [(m.role, m.content) for m in messages]


def share(question: str, reply: str, *more: str) -> list[dict[str, str]]:
    """Turns as ShareGPT and LLaVA have them."""
    roles = ("human", "gpt")
    turns = enumerate((question, reply, *more))
    return [{"from": roles[n % 2], "value": text} for n, text in turns]


def talk(question: Any, reply: Any) -> list[dict[str, Any]]:
    """Turns as OpenAI, LLaMA-Factory and ms-swift have them."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]


QUESTION = ("assistant", ["red"])
