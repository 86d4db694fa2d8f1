"""The frozen measuring sets: rows that people typed, with what a reply to them must hold.

`sets/README.md` says how they came about and how they are read. No training code may read them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, TypedDict, cast

SETS = ("people", "several", "forms", "conversation", "unknown", "questions")
"""The sets' names, each a file of JSON Lines."""


class Expected(TypedDict, total=False):
    """Expectation of a reply, as a row has it.

    Attributes:
        media: kind (`modality`) and settled attributes of each media item, in order.
        says: words that must all occur.
        says_any: words of which one must occur.
        refuses: whether it must say that it doesn't know, or must not.
    """

    media: list[dict[str, str]]
    says: list[str]
    says_any: list[str]
    refuses: bool


class SetTurn(TypedDict):
    """One request of a row.

    Attributes:
        text: what the user types.
        kind: of the request, as the set's own table counts them.
        attach: media that come with it, as kind and attributes.
        expected: of the reply.
    """

    text: str
    kind: str
    attach: list[dict[str, str]]
    expected: Expected


class SetRow(TypedDict):
    """One row of a set: an independent request, or a conversation."""

    id: str
    turns: list[SetTurn]


PLAIN = "plain words"
"""The kind of the requests of `forms` that their variants are compared with."""


@cache
def load_set(name: str) -> tuple[SetRow, ...]:
    """The rows of a set in one shape; each way to type a request of `forms` is a row.

    Raises:
        ValueError: for a set that there isn't.
    """
    if name not in SETS:
        raise ValueError(f"there is no set {name!r}; choose one of {', '.join(SETS)}")
    text = resources.files("anymodal.toybox").joinpath(f"sets/{name}.jsonl").read_text("utf-8")
    return tuple(row for line in text.splitlines() for row in _rows(json.loads(line)))


def _rows(line: dict[str, Any]) -> Iterator[SetRow]:
    if "turns" in line:
        turns = [
            _turn(turn["user"], turn["kind"], turn.get("attach", []), turn["expect"])
            for turn in line["turns"]
        ]
        yield {"id": line["id"], "turns": turns}
        return
    kind = line.get("kind") or line.get("style") or PLAIN
    attach = [line["attach"]] if "attach" in line else []
    yield {"id": line["id"], "turns": [_turn(line["text"], kind, attach, line)]}
    for variant, text in line.get("variants", {}).items():
        yield {"id": f"{line['id']}-{variant}", "turns": [_turn(text, variant, attach, line)]}


def _turn(
    text: str, kind: str, attach: list[dict[str, str]], fields: Mapping[str, object]
) -> SetTurn:
    expected = {name: fields[name] for name in Expected.__annotations__ if name in fields}
    return {"text": text, "kind": kind, "attach": attach, "expected": cast(Expected, expected)}


def set_texts() -> list[str]:
    """Every text that a user types in the sets."""
    return [turn["text"] for name in SETS for row in load_set(name) for turn in row["turns"]]
