"""How far back a model is shown a conversation, and how it learns that there was more."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.types import Message


def first_visible(count: int, history_turns: int | None) -> int:
    """The index of the earliest of `count` turns that a model with this memory is shown."""
    if history_turns is None or count <= history_turns:
        return 0
    step = max(1, history_turns // 2)
    return -((history_turns - count) // step) * step  # the surplus, rounded up to whole steps


def with_notice(messages: Sequence[Message], notice: str) -> list[Message]:
    """Messages whose first one opens with a notice, for what stood before them; none if empty."""
    if not (messages and notice):
        return list(messages)
    first, *rest = messages
    return [Message(first.role, [notice, *first.content]), *rest]
