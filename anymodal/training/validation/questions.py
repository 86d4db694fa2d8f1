"""Held-out conversations as questions, each with the reply that it had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anymodal.media import Media
from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage
from anymodal.types import Message, Target


@dataclass(frozen=True)
class SampleMedium(SampleFile):
    """A medium of a sample that is in memory.

    Args:
        medium: itself.
    """

    medium: Media | None = None

    def load(self) -> Media:
        """The medium."""
        assert self.medium is not None, "it was made with one"
        return self.medium


class ConversationQuestions(Sequence[EvaluationSample]):
    """Some conversations of a data set, evenly spread over it, without their last replies.

    Args:
        data: conversations by index.
        count: the most of them.
        source: the data set's name.
    """

    def __init__(self, data: Sequence[Sequence[Message]], count: int, source: str = "") -> None:
        count = min(count, len(data))
        self.data, self.source = data, source
        self.indices = [place * len(data) // count for place in range(count)]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> EvaluationSample:  # type: ignore[override]
        """One question.

        Raises:
            ValueError: for a conversation without a reply to something of the user's.
        """
        index = self.indices[place]
        name = f"{self.source}/{index}" if self.source else str(index)
        return question_of(self.data[index], name)


def question_of(conversation: Sequence[Message], name: str) -> EvaluationSample:
    """A conversation as a sample: up to the last reply, which is what the new one should be like.

    Raises:
        ValueError: if it has no reply to something of the user's.
    """
    ends = [
        place
        for place, message in enumerate(conversation)
        if place and message.role == "assistant" and conversation[place - 1].role == "user"
    ]
    if not ends:
        raise ValueError(f"conversation {name} has no reply to a question")
    reply = conversation[ends[-1]]
    targets = [part for part in reply.content if isinstance(part, Target)]
    media = [part.media if isinstance(part, Target) else part for part in reply.content]
    text = reply.text.strip()
    return EvaluationSample(
        id=name,
        turns=tuple(_turn(message, name) for message in conversation[: ends[-1]]),
        references=(text,) if text else (),
        media=tuple(_medium(each, name) for each in media if isinstance(each, Media)),
        caption=next((target.caption for target in targets if target.caption), ""),
    )


def _turn(message: Message, name: str) -> SampleMessage:
    return SampleMessage(message.role, tuple(_parts(message, name)))


def _parts(message: Message, name: str) -> Iterator[str | SampleFile]:
    for part in message.content:
        medium = part.media if isinstance(part, Target) else part
        if isinstance(medium, Media):
            yield _medium(medium, name)
        elif isinstance(medium, str):
            yield medium


def _medium(medium: Media, name: str) -> SampleMedium:
    return SampleMedium(Path(), name, medium=medium)
