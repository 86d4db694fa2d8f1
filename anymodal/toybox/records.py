"""Records of the matrix: the JSON that is kept of each conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict


class MediaPart(TypedDict):
    """A media item of a message.

    Attributes:
        kind: of the item.
        caption: of an item that the user shows.
        path: of the file in the results' folder, where there is one.
    """

    kind: str
    caption: NotRequired[str]
    path: NotRequired[str]


class MediaKinds(TypedDict):
    """The kinds of media that a reply should hold, and those that it holds, in order."""

    asked: list[str]
    given: list[str]


class TurnRecord(TypedDict):
    """One request, its reply, and the scores of each of the reply's media, or of its text.

    Attributes:
        request: texts and media of the user's message.
        reply: texts and media of the predictor's message.
        wanted: the expected attributes.
        read: the attributes that the oracles read.
        right: whether each expected attribute was read.
        chance: the chance level of each expected attribute.
        media: kinds expected and generated.
        kind: of the request, where a task has several.
        measures: figures of the reply's media, such as distances, by name.
    """

    request: list[str | MediaPart]
    reply: list[str | MediaPart]
    wanted: Sequence[dict[str, str]]
    read: list[dict[str, str]]
    right: list[dict[str, bool]]
    chance: list[dict[str, float]]
    media: MediaKinds
    kind: NotRequired[str]
    measures: NotRequired[dict[str, float]]


class DialogueRecord(TypedDict):
    """One conversation of the matrix.

    Attributes:
        line: the task.
        kind: the kind of conversation, where the task is a mixture of kinds.
        unseen: whether its scenes are held out.
        index: within its task and split.
        from_input: attributes of the last answer that only the user's media show.
        turns: requests and replies, in order.
    """

    line: str
    kind: str
    unseen: bool
    index: int
    from_input: Sequence[str]
    turns: list[TurnRecord]
