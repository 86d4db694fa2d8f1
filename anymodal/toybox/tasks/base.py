"""Parts of a matrix's tasks: requests, what their replies must hold, and their scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anymodal.media import Media
from anymodal.toybox.oracles.text import score_text
from anymodal.toybox.oracles.words import has_words, says_unknown
from anymodal.toybox.records import MediaPart, TurnRecord
from anymodal.toybox.scoring import chance_level, read_attributes, score
from anymodal.types import Message

SampleKey = tuple[str, bool, int]
"""Task, split and index of a sample, unique within a plan."""


@dataclass(frozen=True)
class ReplyExpectation:
    """Expectation of a reply.

    Args:
        kinds: of its media, in order.
        attributes: expected attributes of each of its media; or, where it has none, of its text.
        more: whether its text may state other attributes, too.
        says: words that must all occur in its text.
        says_any: words of which one must occur.
        refuses: whether it must say that it doesn't know; None where that is open.
    """

    kinds: tuple[str, ...] = ()
    attributes: tuple[dict[str, str], ...] = ()
    more: bool = False
    says: tuple[str, ...] = ()
    says_any: tuple[str, ...] = ()
    refuses: bool | None = None

    def score(self, request: Message, captions: Sequence[str], reply: Message) -> TurnRecord:
        """Score a reply by the oracles.

        Args:
            request: that it answers.
            captions: of the request's media.
            reply: the reply.
        """
        modalities = self.kinds or ("text",) * len(self.attributes)
        contents = _match(modalities, reply)
        read = [read_attributes(*pair) for pair in zip(modalities, contents, strict=True)]
        right = [
            score_text(str(content), expected) if name == "text" else score(values, expected)
            for name, content, values, expected in zip(
                modalities, contents, read, self.attributes, strict=True
            )
        ]
        if self.more:
            right = [
                {name: marks[name] for name in expected}
                for marks, expected in zip(right, self.attributes, strict=True)
            ]
        record: TurnRecord = {
            "request": _describe_request(request, captions),
            "reply": [
                part if isinstance(part, str) else {"kind": getattr(part, "kind", "")}
                for part in reply.content
            ],
            "wanted": list(self.attributes),
            "read": read,
            "right": right,
            "chance": [
                {name: chance_level(name, each) for name in each} for each in self.attributes
            ],
            "media": {"asked": list(self.kinds), "given": [item.kind for item in reply.media]},
        }
        for name, value, read_value, mark in self._text_checks(reply.text):
            record["wanted"] = [*record["wanted"], {name: value}]
            record["read"].append({name: read_value})
            record["right"].append({name: mark})
            record["chance"].append({})
        return record

    def _text_checks(self, text: str) -> Iterator[tuple[str, str, str, bool]]:
        """What the words of a reply must be: name, expectation, what was read, and whether."""
        if self.says or self.says_any:
            words = [*self.says, *([" or ".join(self.says_any)] if self.says_any else [])]
            yield "words", ", ".join(words), text, has_words(text, self.says, self.says_any)
        if self.refuses is not None:
            says = says_unknown(text)
            name = "refusal" if self.refuses else "no refusal"
            yield name, "yes", "yes" if says == self.refuses else "no", says == self.refuses


def _match(modalities: Sequence[str], reply: Message) -> list[str | Media | None]:
    """The reply's content for each expected modality: its next item of that kind, or its text."""
    items: dict[str, Iterator[Media]] = {
        name: iter([item for item in reply.media if item.kind == name]) for name in modalities
    }
    return [reply.text if name == "text" else next(items[name], None) for name in modalities]


def _describe_request(request: Message, captions: Sequence[str]) -> list[str | MediaPart]:
    left = iter(captions)
    return [
        {"kind": part.kind, "caption": next(left)} if isinstance(part, Media) else str(part)
        for part in request.content
    ]


@dataclass(frozen=True)
class MatrixSample(ABC):
    """One conversation of the matrix; seed, task, split and index decide everything in it.

    Args:
        seed: of the plan.
        task: the name of its task.
        unseen: whether its scenes are held out from training.
        index: within its task and split.
    """

    seed: int
    task: str
    unseen: bool
    index: int

    @property
    def key(self) -> SampleKey:
        """Task, split and index."""
        return self.task, self.unseen, self.index

    @property
    def name(self) -> str:
        """The stem of its files' names."""
        split = "unseen" if self.unseen else "seen"
        return f"{self.task.replace('>', '-to-').replace(':', '-')}-{split}-{self.index:03d}"

    @property
    def entropy(self) -> list[int]:
        """The entropy of its random numbers."""
        return [self.seed, self.index, int(self.unseen), *self.task.encode()]

    @property
    def kind(self) -> str:
        """The kind of conversation, where the task is a mixture of kinds."""
        return self.task

    @property
    def from_input(self) -> Sequence[str]:
        """Attributes of the last answer that only the user's media show."""
        return ()

    @property
    @abstractmethod
    def turn_count(self) -> int:
        """The number of requests."""

    @property
    @abstractmethod
    def modalities(self) -> tuple[set[str], set[str]]:
        """The modalities that its requests show, and those that its replies must hold."""

    @abstractmethod
    def request(self, turn: int) -> Message:
        """The user's message of one turn, its media rendered."""

    @abstractmethod
    def score(self, turn: int, request: Message, reply: Message) -> TurnRecord:
        """Score the reply of one turn; its record comes back."""

    def reply_seed(self, turn: int) -> int:
        """The seed of the reply of one turn."""
        state = np.random.SeedSequence([*self.entropy, 1, turn]).generate_state(1)
        return int(state[0]) >> 1  # seeds of torch and of sessions have a sign
