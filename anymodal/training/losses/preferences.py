"""Preference losses: of two replies, or two media, the better one is to be likelier.

Shapes: P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from anymodal.config import ConfigError, nearest, shorten
from anymodal.training.losses.base import (
    FEATURES,
    LATENTS,
    LOG_PROBS,
    MEDIA_ERRORS,
    PAIR_MARGINS,
    REFERENCE_LOG_PROBS,
    ItemLosses,
    Loss,
    WeightedLoss,
    check_weight,
)
from anymodal.training.losses.states import PairBatch, PreferenceStates


def sigmoid_loss(
    logits: Tensor, beta: float, label_smoothing: float = 0.0, margin: float | Tensor = 0.0
) -> Tensor:
    """The loss of DPO, or of SimPO with its margin, for each pair (P,).

    Rafailov et al. 2023 (arXiv:2305.18290), equation 7; Meng et al. 2024 (SimPO,
    arXiv:2405.14734), equation 6. With label smoothing the conservative DPO of Mitchell 2023, which
    takes a share of the pairs to be labelled the wrong way round.

    Args:
        logits: by how much more the model prefers the chosen reply than the reference does.
        beta: factor on them.
        label_smoothing: that share.
        margin: γ, by which rewards are to differ at least; of all pairs, or of each (P,).
    """
    rewards = beta * logits - margin
    return -(
        (1 - label_smoothing) * F.logsigmoid(rewards) + label_smoothing * F.logsigmoid(-rewards)
    )


def ipo_loss(logits: Tensor, beta: float) -> Tensor:
    """The squared distance of preferences from 1 / 2β, for each pair (P,).

    Azar et al. 2023 (IPO, arXiv:2310.12036), equation 17, with β for its τ.
    """
    return (logits - 1 / (2 * beta)).square()


class PairFigures(NamedTuple):
    """Means over pairs that are logged beside a loss.

    Attributes:
        chosen_reward: β times the gain in log-likelihood of the chosen side over the reference.
        rejected_reward: the same of the rejected side.
        reward_margin: their difference.
        accuracy: share of pairs whose chosen side has the higher reward.
        reference_distance: how far the model is from the reference, see the loss.
    """

    chosen_reward: Tensor
    rejected_reward: Tensor
    reward_margin: Tensor
    accuracy: Tensor
    reference_distance: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, chosen: Tensor, rejected: Tensor, distances: Tensor) -> PairFigures:
        """The figures of rewards (P,) of both sides, and distances of any number of things."""
        return cls(
            chosen.mean(),
            rejected.mean(),
            (chosen - rejected).mean(),
            (chosen > rejected).float().mean(),
            distances.mean(),
        )

    def stacked(self) -> Tensor:
        """The figures in a row (F,)."""
        return torch.stack([*self]).detach()


SIGMOID, IPO, SIMPO = "sigmoid", "ipo", "simpo"
_BETAS = {SIGMOID: 0.1, IPO: 0.1, SIMPO: 2.0}
_MARGINS = {SIMPO: 0.5}


class DPO(Loss[PairBatch, PreferenceStates]):
    """Direct preference optimisation: the chosen reply is to gain likelihood over the rejected one.

    A reply's likelihood is that of its text and of the choice of media, whose first signal token
    it has; a mean over pairs whose replies, or media shown, differ. An SFT term, as in RPO (Pang
    et al. 2024, arXiv:2404.19733, equation 1), is the loss `text` beside it, with
    `average: conversation`.

    `reference_distance` is the mean distance of log-likelihoods from the reference's, per token;
    without a reference it is 0.

    Args:
        weight: factor on it in the sum.
        kind: `sigmoid` (`sigmoid_loss`), `ipo` (`ipo_loss`), or `simpo`: the sigmoid without a
            reference model, over likelihoods per token.
        beta: how close to the reference the model is held; None for 0.1, and 2 for `simpo`.
        label_smoothing: share of pairs that are taken to be labelled wrongly, below 0.5.
        margin: what is subtracted from the difference of rewards; None for 0, and 0.5 for `simpo`.
        score_margin: factor on the margin between each pair's own scores
            (`PreferenceSample.margin`), which is subtracted too, as are ODPO's offset (Amini et al.
            2024, arXiv:2402.10571, with a linear f) and the margin of Llama 2's reward models
            (arXiv:2307.09288, equation 2).
        length_normalized: compare log-likelihoods per token, so that long replies count as much as
            short ones; None for what a kind is known for: False for `sigmoid`, else True, as TRL
            has it for IPO too.

    Raises:
        ConfigError: for an unknown kind, or a value out of its range.
    """

    unit = "pairs"
    figures = PairFigures._fields

    def __init__(
        self,
        weight: float = 1.0,
        kind: str = SIGMOID,
        beta: float | None = None,
        label_smoothing: float = 0.0,
        margin: float | None = None,
        score_margin: float = 0.0,
        length_normalized: bool | None = None,
    ) -> None:
        super().__init__(weight)
        if kind not in _BETAS:
            raise ConfigError(
                f"kind={shorten(kind)} is no kind of dpo{nearest(kind, _BETAS)}; there are "
                f"{', '.join(_BETAS)}"
            )
        self.kind = kind
        self.beta = _positive(_BETAS[kind] if beta is None else beta, "beta")
        self.margin = _MARGINS.get(kind, 0.0) if margin is None else margin
        check_weight(self.margin, "margin")
        check_weight(score_margin, "score_margin")
        self.score_margin = score_margin
        if not 0 <= label_smoothing < 0.5:
            raise ConfigError(
                f"label_smoothing={shorten(label_smoothing)} must be at least 0 and below 0.5"
            )
        if kind == IPO and (label_smoothing or self.margin or score_margin):
            raise ConfigError("ipo has no label_smoothing and no margins; leave them out, or take "
                              "kind: sigmoid")  # fmt: skip
        self.label_smoothing = label_smoothing
        self.length_normalized = kind != SIGMOID if length_normalized is None else length_normalized
        self.needs = frozenset({FEATURES, LOG_PROBS})
        if kind != SIMPO:
            self.needs |= {REFERENCE_LOG_PROBS}
        if score_margin:
            self.needs |= {PAIR_MARGINS}

    def count(self, batch: PairBatch) -> dict[str, int]:
        return {"": len(batch.reply_pairs)}

    def pair_losses(
        self, chosen: Tensor, rejected: Tensor, score_margins: Tensor | None = None
    ) -> Tensor:
        """Losses (P,) of the sides' log-likelihoods, less the reference's where there is one.

        Args:
            chosen: (P,).
            rejected: (P,).
            score_margins: between the pairs' scores (P,), where `score_margin` is above 0.
        """
        if self.kind == IPO:
            return ipo_loss(chosen - rejected, self.beta)
        margin: float | Tensor = self.margin
        if score_margins is not None:
            margin = margin + self.score_margin * score_margins
        return sigmoid_loss(chosen - rejected, self.beta, self.label_smoothing, margin)

    def __call__(self, batch: PairBatch, states: PreferenceStates) -> list[WeightedLoss]:
        pairs = batch.reply_pairs
        if not pairs:
            return [WeightedLoss(None, 0)]
        assert states.log_probs is not None, "they are among the needs"
        lengths = batch.reply_lengths.to(states.log_probs.device, non_blocking=True)  # (2, n)
        gains = states.log_probs
        if states.reference_log_probs is not None:
            gains = gains - states.reference_log_probs
        distances = gains.detach() / lengths
        values = gains / lengths if self.length_normalized else gains
        chosen, rejected = values[:, pairs]  # (P,) each
        margins = batch.margins[pairs].to(chosen) if self.score_margin else None
        losses = self.pair_losses(chosen, rejected, margins)
        if states.reference_log_probs is None:
            distances = torch.zeros_like(distances)
        figures = PairFigures.of(
            self.beta * chosen, self.beta * rejected, distances[:, pairs].abs()
        )
        items = ItemLosses(losses.detach(), torch.tensor(pairs))
        return [WeightedLoss(losses.mean(), len(pairs), "", items, figures.stacked())]


def diffusion_dpo_loss(
    errors: Sequence[Tensor], reference_errors: Sequence[Tensor], beta: float
) -> Tensor:
    """The loss of Diffusion-DPO for each pair (P,).

    Wallace et al. 2023 (arXiv:2311.12908), equation 14, its constants Tω(λ) in β as in the
    authors' and diffusers' code: -log σ(-β/2 (Δ - Δ_ref)), Δ the chosen medium's denoising error
    less the rejected one's.

    Args:
        errors: of the chosen and of the rejected media (P,), at equal noise and noise levels.
        reference_errors: the same of the reference model.
        beta: how close to the reference the model is held.
    """
    chosen, rejected = errors
    reference_chosen, reference_rejected = reference_errors
    difference = (chosen - rejected) - (reference_chosen - reference_rejected)
    return -F.logsigmoid(-0.5 * beta * difference)


class DiffusionDPO(Loss[PairBatch, PreferenceStates]):
    """Diffusion-DPO (`diffusion_dpo_loss`): the chosen medium is to be denoised better, beside the
    rejected one, than the reference denoises both.

    Each side's medium stands under the conditioning that the head gives in its own reply, with the
    same noise and noise level. A mean over each modality's pairs of unequal media, and the sum of
    these means. Rewards are -β/2 times the errors' difference from the reference's;
    `reference_distance` is the mean of its absolute value over both sides.

    Args:
        weight: factor on it in the sum.
        beta: how close to the reference the model is held.

    Raises:
        ConfigError: for a beta that isn't above 0.
    """

    needs = frozenset({FEATURES, LATENTS, MEDIA_ERRORS})
    unit = "pairs of media"
    figures = PairFigures._fields

    def __init__(self, weight: float = 1.0, beta: float = 5000.0) -> None:
        super().__init__(weight)
        self.beta = _positive(beta, "beta")

    def count(self, batch: PairBatch) -> dict[str, int]:
        return {name: len(pairs) for name, pairs in batch.media_pairs.items()}

    def __call__(self, batch: PairBatch, states: PreferenceStates) -> list[WeightedLoss]:
        losses = []
        for name, pair in states.media_errors.items():
            values = diffusion_dpo_loss(pair.errors, pair.reference_errors, self.beta)
            gains = [(error.detach() - reference) for error, reference in zip(*pair, strict=True)]
            chosen, rejected = (-0.5 * self.beta * gain for gain in gains)
            figures = PairFigures.of(chosen, rejected, torch.stack(gains).abs())
            items = ItemLosses(values.detach(), torch.tensor(batch.media_pair_samples(name)))
            losses.append(WeightedLoss(values.mean(), len(values), name, items, figures.stacked()))
        return losses


def _positive(value: float, place: str) -> float:
    check_weight(value, place)
    if value == 0:
        raise ConfigError(f"{place} must be more than 0, not {shorten(value)}")
    return float(value)
