"""Tasks of the grammar: conversations of its kinds, of a mixture of them, and of paraphrases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from anymodal.toybox.conditions.render import render_item
from anymodal.toybox.dataset import FORGOTTEN
from anymodal.toybox.grammar.dialogues import sample_dialogue
from anymodal.toybox.grammar.types import MediaItem, ReferenceDialogue
from anymodal.toybox.paraphrases import sample_paraphrase
from anymodal.toybox.records import TurnRecord
from anymodal.toybox.render import render_scene
from anymodal.toybox.tasks.base import MatrixSample, ReplyExpectation
from anymodal.toybox.variations import render_varied
from anymodal.types import Message

ANY = "any"
"""The task of all kinds of conversation, by the grammar's weights."""

PARAPHRASE = "paraphrase"
"""The task of requests in words that the grammar doesn't have."""


@dataclass(frozen=True)
class GrammarSample(MatrixSample):
    """A conversation of the grammar.

    Args:
        varied: give media as files of other formats, which show the same.
    """

    varied: bool = False

    @cached_property
    def dialogue(self) -> ReferenceDialogue:
        """The conversation, with its answers."""
        rng = np.random.default_rng([*self.entropy, 0])
        if self.task == PARAPHRASE:
            return sample_paraphrase(rng, unseen=self.unseen)
        kind = None if self.task == ANY else self.task
        return sample_dialogue(rng, kind=kind, unseen=self.unseen)

    @property
    def kind(self) -> str:
        """The kind of conversation, where the task is a mixture of kinds."""
        return self.dialogue.kind

    @property
    def from_input(self) -> Sequence[str]:
        """Attributes of the last answer that only the user's media show."""
        return self.dialogue.from_input

    @property
    def turn_count(self) -> int:
        """The number of requests."""
        return len(self.dialogue.answers)

    @property
    def modalities(self) -> tuple[set[str], set[str]]:
        """The modalities that its requests show, and those that its replies must hold."""
        requests, replies = self.dialogue.turns[::2], self.dialogue.turns[1::2]
        return (
            {item.modality for turn in requests for item in turn.media},
            {item.modality for turn in replies for item in turn.media},
        )

    def request(self, turn: int) -> Message:
        """The user's message of one turn, its media rendered."""
        rng = np.random.default_rng([*self.entropy, 2, turn])
        renderer = render_varied if self.varied else render_scene
        notice = [FORGOTTEN] if self.dialogue.forgets and turn == 0 else []
        parts = [
            render_item(part, rng, renderer) if isinstance(part, MediaItem) else part
            for part in self.dialogue.turns[2 * turn].parts
        ]
        return Message("user", [*notice, *parts])

    def score(self, turn: int, request: Message, reply: Message) -> TurnRecord:
        """Score the reply of one turn; its record comes back."""
        asked, reference = self.dialogue.turns[2 * turn : 2 * turn + 2]
        expectation = ReplyExpectation(
            tuple(item.modality for item in reference.media), tuple(self.dialogue.answers[turn])
        )
        return expectation.score(request, [item.caption for item in asked.media], reply)
