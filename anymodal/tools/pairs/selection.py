"""Pairs among scored replies: ties and near-duplicates are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import combinations
from typing import NamedTuple

from anymodal.config import ConfigError, shorten
from anymodal.metrics.words import words
from anymodal.types import Message

_REASONS = (_UNSCORED, _TIE, _DUPLICATE) = "replies without a score", "ties", "near-duplicates"


class Pair(NamedTuple):
    """Places of the better and the worse of some replies, and by how much it is better."""

    chosen: int
    rejected: int
    margin: float


@dataclass
class Selection:
    """How pairs are chosen.

    Args:
        margin: the least difference of scores; equal ones are always ties.
        similarity: share of words in common from which on two texts are near-duplicates, from 0
            to 1; 1 for equal texts alone.
        pairs_per_prompt: the most pairs of one prompt; those that differ most come first.

    Raises:
        ConfigError: for a value out of its range.
    """

    margin: float = 0.0
    similarity: float = 0.95
    pairs_per_prompt: int = 1
    left_out: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(_REASONS, 0)))

    def __post_init__(self) -> None:
        if not self.margin >= 0:
            raise ConfigError(f"margin={shorten(self.margin)}; it must be 0 or above")
        if not 0 < self.similarity <= 1:
            raise ConfigError(f"similarity={shorten(self.similarity)}; it must be above 0, up to 1")
        if self.pairs_per_prompt < 1:
            raise ConfigError(f"pairs_per_prompt={self.pairs_per_prompt}; it must be 1 or above")

    def pairs(self, replies: Sequence[tuple[Message, float | None]]) -> list[Pair]:
        """The pairs of one prompt, of its replies with their scores; None for one without.

        What is left out is counted by reason.
        """
        scored = [place for place, (_, total) in enumerate(replies) if total is not None]
        self.left_out[_UNSCORED] += len(replies) - len(scored)
        candidates = [self._pair(replies, *places) for places in combinations(scored, 2)]
        decided = [pair for pair in candidates if pair is not None]
        self.left_out[_TIE] += len(candidates) - len(decided)
        kept: list[Pair] = []
        # By the difference, then in the order of the replies.
        for pair in sorted(decided, key=lambda pair: -pair.margin):
            sides = replies[pair.chosen][0], replies[pair.rejected][0]
            if are_alike(*sides, self.similarity):
                self.left_out[_DUPLICATE] += 1
            elif len(kept) < self.pairs_per_prompt:
                kept.append(pair)
        return kept

    def _pair(
        self, replies: Sequence[tuple[Message, float | None]], first: int, second: int
    ) -> Pair | None:
        one, other = replies[first][1], replies[second][1]
        assert one is not None and other is not None, "those without were left out"
        # Sums of weights round; a tie stays one.
        margin = round(one - other, 9)
        if margin == 0 or abs(margin) < self.margin:
            return None
        return Pair(first, second, margin) if margin > 0 else Pair(second, first, -margin)


def are_alike(first: Message, second: Message, similarity: float) -> bool:
    """Return whether two replies have the same media, and texts that are nearly the same."""
    if [medium.digest() for medium in first.media] != [each.digest() for each in second.media]:
        return False
    one, other = words(first.text), words(second.text)
    return one == other or SequenceMatcher(None, one, other, False).ratio() >= similarity
