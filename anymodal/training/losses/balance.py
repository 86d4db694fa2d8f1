"""The loss that keeps a mixture's experts in use."""

from __future__ import annotations

from anymodal.training.losses.base import Loss, WeightedLoss
from anymodal.training.losses.states import TextBatch, TextStates


class Balance(Loss[TextBatch, TextStates]):
    """How unevenly a language model's experts are used, summed over its layers.

    Source: Fedus et al. 2022 (Switch Transformers), arXiv:2101.03961, equation 4; MoE-LLaVA has it
    at a weight of 0.01. It is of a whole batch, so batches that accumulate have one each.

    Raises:
        ValueError: when it is computed, if the model has no experts that train.
    """

    unit = "supervised positions"
    is_default = False

    def count(self, batch: TextBatch) -> dict[str, int]:
        return {"": batch.supervised}

    def __call__(self, batch: TextBatch, states: TextStates) -> list[WeightedLoss]:
        penalty = states.language.fusion_penalty()
        if penalty is None:
            raise ValueError(
                "the loss 'balance' is of experts that train; give the model a fusion of them, "
                "such as anymodal.fusion.SparseUpcycling, and the stage trainable: [fusion.*]"
            )
        return [WeightedLoss(penalty.to(states.hidden.device), batch.supervised)]
