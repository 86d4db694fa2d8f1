"""Rows of a medium, what to change in it, and the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from anymodal.data.containers import Row
from anymodal.data.entry_keys import TURNS, as_list, is_empty
from anymodal.data.schemas.base import Reading, Schema, take, text_of
from anymodal.media import Media
from anymodal.types import Message, Target

INSTRUCTIONS = ("instruction", "edit_prompt", "edit")
SOURCES = ("source_{}", "input_{}", "input_{}s", "original_{}")
RESULTS = ("output_{}", "edited_{}", "target_{}", "result_{}")
CAPTIONS = ("output_caption", "edited_prompt", "target_caption", "caption")
"""Keys of what the result shows, where a row tells it."""
_BEFORE = ("original_prompt", "original_caption", "source_caption", "input_caption")
"""Keys of what the source shows, which the request doesn't say."""


def edit_key(row: Row, patterns: tuple[str, ...], kind: str) -> str | None:
    """The key of a kind's media, by one of several patterns."""
    keys = (pattern.format(kind) for pattern in patterns)
    return next((key for key in keys if not is_empty(row.get(key))), None)


def edited_kind(row: Row) -> str | None:
    """The kind of medium that a row has the result of an edit of."""
    return next((kind for kind in Media.kinds if edit_key(row, RESULTS, kind)), None)


def _matches(row: Row) -> bool:
    has_instruction = any(isinstance(row.get(key), str) for key in INSTRUCTIONS)
    return has_instruction and edited_kind(row) is not None and not any(key in row for key in TURNS)


def _of_edit(entry: Row, _: Reading) -> Row:
    kind = edited_kind(entry)
    assert kind is not None, "it was matched"
    result = edit_key(entry, RESULTS, kind)
    source = next(
        ((k, key) for k in Media.kinds if (key := edit_key(entry, SOURCES, k))), (kind, None)
    )
    keys = [key for key in (result, source[1], *INSTRUCTIONS, *CAPTIONS, *_BEFORE) if key]
    rest, values = take(entry, *keys)
    names = [key for key in INSTRUCTIONS if not is_empty(values[key])]
    if len(names) != 1:
        raise ValueError(f"the instruction stands twice, under {' and '.join(names)}")
    instruction = text_of(values[names[0]], names[0])
    caption = next((values[key] for key in CAPTIONS if not is_empty(values[key])), instruction)
    media = as_list(values[source[1]]) if source[1] else []
    lines: list[Any] = [f"<{source[0]}>" * len(media), instruction]
    return {
        **rest,
        **({source[0] + "s": media} if media else {}),
        f"output_{kind}": values[str(result)],
        f"{kind}_captions": [text_of(caption, "the caption")],
        "messages": [
            {"role": "user", "content": "\n".join(text for text in lines if text)},
            {"role": "assistant", "content": f"<{kind}>"},
        ],
    }


def with_references(messages: Sequence[Message]) -> list[Message]:
    """A request and its reply, whose targets are made from all media of the request."""
    shown = tuple(range(sum(len(each.media) for each in messages if each.role == "user")))
    return [
        Message(
            message.role,
            [
                replace(part, references=shown) if isinstance(part, Target) else part
                for part in message.content
            ],
            supervised=message.supervised,
        )
        for message in messages
    ]


EDIT = Schema("edits", _matches, _of_edit)
