"""Making pairs as data: whom to ask what how often, and how replies are scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from anymodal.config import ConfigError, suggest
from anymodal.evaluation.reply_job import ReplyJob
from anymodal.metrics.samples import EvaluationSample
from anymodal.tools.pairs.scorers import Scorer
from anymodal.tools.pairs.selection import Selection

MODEL = "model"
"""The name of the part that is the model itself, for a scorer: `{_part_: model}`."""
MOST_REPLIES = 1024


@dataclass
class PairMaking(ReplyJob):
    """One making of preference pairs from a model's replies.

    Args:
        output_dir: folder for replies, scores and pairs, from which a stopped run goes on.
        batch_size: replies written at once.
        seed: with a prompt's name and the number of the reply it decides the reply.
        settings: of `model.chat`, such as `max_new_tokens`; a temperature above 0.
        parts: what several scorers share, such as a judge; `{_part_: model}` is the model itself.
        scorers: parts that give a `Scorer` each, by the name of its scores.
        replies: to each prompt.
        weights: of scorers in the sum that pairs are chosen by; 1 where one isn't named.
        margin: see `Selection`.
        similarity: see `Selection`.
        pairs_per_prompt: see `Selection`.
        page_pairs: pairs on the page.
    """

    place = "pairs"
    measures = "scorers"
    provided_parts = (MODEL,)

    settings: dict[str, Any] = field(default_factory=lambda: {"temperature": 1.0})
    scorers: dict[str, Any] = MISSING
    replies: int = 4
    weights: dict[str, float] = field(default_factory=dict)
    margin: float = 0.0
    similarity: float = 0.95
    pairs_per_prompt: int = 1
    page_pairs: int = 100

    @property
    def selection(self) -> Selection:
        """How pairs are chosen."""
        return Selection(self.margin, self.similarity, self.pairs_per_prompt)

    def _ranges(self) -> Iterator[tuple[str, int, int]]:
        yield "replies", 2, MOST_REPLIES
        yield "page_pairs", 0, 10_000
        yield from super()._ranges()

    def _check(self) -> None:
        for name in self.weights:
            if name not in self.scorers:
                raise ConfigError(f"weights has no scorer {name!r}{suggest(name, self.scorers)}")
        if MODEL in self.parts:
            raise ConfigError(f"parts.{MODEL} is the model itself; choose another name")
        if self.settings.get("choices") is not None:
            raise ConfigError("settings.choices: few texts make no pairs; leave them out")
        if not self.settings.get("temperature", 0) > 0:
            raise ConfigError(
                "settings.temperature is 0, which gives the same reply each time; give one above "
                "0, such as 1.0"
            )
        self.selection  # noqa: B018 (checks its values)

    def build_scorers(
        self, model: object, samples: Sequence[EvaluationSample]
    ) -> dict[str, Scorer]:
        """Build the scorers, and check that the prompts have what they need.

        Raises:
            ConfigError: naming the scorer.
        """
        return self._build(Scorer, samples, **{MODEL: model})  # type: ignore[type-abstract]
