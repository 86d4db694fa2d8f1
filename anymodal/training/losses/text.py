"""Cross-entropy of replies."""

from __future__ import annotations

from anymodal.config import ConfigError, nearest, shorten
from anymodal.training.losses.base import FEATURES, ItemLosses, Loss, WeightedLoss
from anymodal.training.losses.states import TextBatch, TextStates

TOKEN, CONVERSATION = AVERAGES = ("token", "conversation")


class Text(Loss[TextBatch, TextStates]):
    """Cross-entropy of the next token, averaged over supervised positions or conversations.

    Args:
        weight: factor on it in the sum.
        average: `token` for a mean over all supervised positions, in which a caption of 100 tokens
            counts a hundred times as much as a label of one; `conversation` for a mean over
            conversations of each one's mean, in which they count alike.

    Raises:
        ConfigError: for another average.
    """

    needs = frozenset({FEATURES})

    def __init__(self, weight: float = 1.0, average: str = TOKEN) -> None:
        super().__init__(weight)
        if average not in AVERAGES:
            raise ConfigError(
                f"average={shorten(average)} is none{nearest(average, AVERAGES)}; there are "
                f"{', '.join(AVERAGES)}"
            )
        self.average = average
        self.unit = "supervised positions" if average == TOKEN else "conversations"

    def count(self, batch: TextBatch) -> dict[str, int]:
        if self.average == TOKEN:
            return {"": batch.supervised}
        return {"": len(batch.supervised_sequences.unique())}

    def __call__(self, batch: TextBatch, states: TextStates) -> list[WeightedLoss]:
        losses = states.language.losses(states.hidden, batch.labels)
        if not len(losses):
            # A zero that reaches backward, as FSDP2's collectives need.
            return [WeightedLoss(states.hidden.sum() * 0.0, 0)]
        sequences = batch.supervised_sequences
        if self.average == TOKEN:
            items = ItemLosses(losses.detach(), sequences)
            return [WeightedLoss(losses.mean(), batch.supervised, items=items)]
        _, places, counts = sequences.unique(return_inverse=True, return_counts=True)
        weights = 1 / counts[places]  # of a position in its conversation's mean
        items = ItemLosses(losses.detach(), sequences, weights)
        # As a sum over positions: additions by index come in any order on a GPU.
        value = (losses * weights.to(losses.device, non_blocking=True)).sum() / len(counts)
        return [WeightedLoss(value, len(counts), items=items)]
