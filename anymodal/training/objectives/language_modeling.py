"""Causal language modelling of whole conversations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.packing import Packed, pack, supervised, supervised_sequences
from anymodal.training.losses import Text
from anymodal.training.losses.states import TextStates
from anymodal.training.objectives.base import Objective
from anymodal.types import Message


class TokenBatch(NamedTuple):
    """Rows of tokens, of which some are supervised.

    Args:
        packed: the rows.
        supervised: positions to learn from.
        tokens: without the padding.
    """

    packed: Packed
    supervised: int
    tokens: int

    @property
    def labels(self) -> Tensor:
        """Ids (R, T), `IGNORED` where unsupervised."""
        return self.packed.labels

    @property
    def supervised_sequences(self) -> Tensor:
        """Numbers (N,) of the conversations that supervised positions are of, row by row."""
        return supervised_sequences(self.packed)


class LanguageModeling(Objective[Sequence[Message], TokenBatch]):
    """Causal language modelling of the assistant's words in whole conversations.

    What users say is read and not learned: it can't be foretold, and a small model that is made to
    try learns much later to answer from what it read.

    Args:
        model: the language model.
        max_length: tokens; longer conversations are cut.
    """

    model: LanguageModel

    def __init__(self, model: LanguageModel, max_length: int = 512) -> None:
        super().__init__(model, {"text": Text})
        self.max_length = max_length

    def collate(self, samples: Sequence[Sequence[Message]]) -> TokenBatch:
        rows: list[list[int]] = []
        labels: list[list[int]] = []
        for messages in samples:
            turns = [(m.role, [str(part) for part in m.content]) for m in messages]
            segments = self.model.render_chat(turns, add_generation_prompt=False)
            pairs = [
                (token, token if segment.supervised else IGNORED)
                for segment in segments
                for token in segment.ids
            ][: self.max_length]
            rows.append([token for token, _ in pairs])
            labels.append([label for _, label in pairs])
        return self.batch_of(rows, labels)

    def batch_of(
        self, rows: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]
    ) -> TokenBatch:
        """A batch of token ids and their labels."""
        share_rows = self.packed if self.model.packs else False
        packed = pack(rows, labels, share_rows, self.model.width, self.device.type)
        return TokenBatch(packed, supervised(packed.labels), sum(map(len, rows)))

    def statistics(self, batch: TokenBatch) -> dict[str, int]:
        """Numbers of tokens and of supervised ones."""
        return {"tokens": batch.tokens, "supervised tokens": batch.supervised}

    def states(self, batch: TokenBatch) -> TextStates:
        embeds = self.model.embed(batch.packed.ids)
        positions = batch.packed.positions.to(embeds.device, non_blocking=True)
        return TextStates(self.model, self.model(embeds, positions=positions))

    def save_pretrained(self, folder: str | Path) -> None:
        self.model.save_pretrained(folder)
