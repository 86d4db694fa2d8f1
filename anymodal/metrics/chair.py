"""CHAIR: objects that captions name and that aren't there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.metrics.base import Metric, MetricTable
from anymodal.metrics.object_names import ObjectNames

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message

_MOST_LISTED = 20


class Chair(Metric):
    """Share of named objects that aren't there (`chair_i`), and of captions with one (`chair_s`).

    An object is there if a reference names it: a caption of people's, or a label as a reference of
    its own. `recall` is the share of objects that are there and named, a mean over captions;
    `objects` the mean number that a caption names. Fewer objects named lower CHAIR, so read it
    beside these. The table lists what is named most often without being there.

    Source: Rohrbach et al. 2018, "Object hallucination in image captioning", section 2,
    https://arxiv.org/abs/1809.02156.

    Args:
        synonyms: a file of objects with their synonyms, see `ObjectNames`.

    Raises:
        ConfigError: if the file isn't there, or names nothing.
    """

    needs = ("references",)

    def __init__(self, synonyms: str | Path) -> None:
        self.names = ObjectNames.from_file(synonyms)
        self.synonyms = tuple(self.names.by_words.items())  # a value that tells it from another
        self.num_named = self.num_wrong = self.captions_with_wrong = 0
        self.recalls: list[float] = []
        self.wrong: Counter[str] = Counter()

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        there = set(self.names.names_in(sample.references))
        named = [mention.name for mention in self.names.mentions(reply.text)]
        wrong = [name for name in named if name not in there]
        self.num_named += len(named)
        self.num_wrong += len(wrong)
        self.captions_with_wrong += bool(wrong)
        self.wrong.update(wrong)
        if there:
            self.recalls.append(len(there & set(named)) / len(there))
        return True

    def _compute(self) -> dict[str, float]:
        figures = {
            # Where nothing is named, nothing is wrong.
            "chair_i": self.num_wrong / self.num_named if self.num_named else 0.0,
            "chair_s": self.captions_with_wrong / self.count,
            "objects": self.num_named / self.count,
        }
        if self.recalls:
            figures["recall"] = sum(self.recalls) / len(self.recalls)
        return figures

    def tables(self) -> dict[str, MetricTable]:
        """Objects that are named most often without being there."""
        rows: list[list[str | float | int]] = [
            [name, count] for name, count in self.wrong.most_common(_MOST_LISTED)
        ]
        return {"not there": MetricTable(["object", "named"], rows)} if rows else {}
