"""Cross-entropy of replies."""

from __future__ import annotations

from anymodal.training.losses.base import FEATURES, Loss, WeightedLoss
from anymodal.training.losses.states import TextBatch, TextStates


class Text(Loss[TextBatch, TextStates]):
    """Cross-entropy of the next token, a mean over the supervised positions."""

    needs = frozenset({FEATURES})
    unit = "supervised positions"

    def count(self, batch: TextBatch) -> dict[str, int]:
        return {"": batch.supervised}

    def __call__(self, batch: TextBatch, states: TextStates) -> list[WeightedLoss]:
        value = states.language.loss(states.hidden, batch.labels)
        return [WeightedLoss(value, batch.supervised)]
