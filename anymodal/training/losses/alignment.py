"""Distance between a head's conditioning and a caption's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from anymodal.types import Conditioning

KINDS = ("mse", "l2", "cosine")


def alignment_loss(predicted: Conditioning, target: Conditioning, kind: str = "l2") -> Tensor:
    """The mean of `alignment_errors` over captions."""
    return alignment_errors(predicted, target, kind).mean()


def alignment_errors(predicted: Conditioning, target: Conditioning, kind: str = "l2") -> Tensor:
    """Distances of a head's conditioning from captions', with padding pulled to the zero vector.

    The mean error over the caption's real positions, plus the mean error of its padded positions
    against zero, plus the error of the pooled conditioning where there is one. `l2` is the norm of
    the difference (NExT-GPT, Wu et al. 2024, arXiv:2309.05519, decoding-side alignment), `mse` its
    mean square, `cosine` one minus the cosine (at padded positions, which have no direction, the
    mean square). Computed in float32.

    Means are taken caption by caption, so that a long one counts as much as a short one and how
    many errors a step is over is known before any caption is embedded.

    Shapes: embeds (B, L, C) and pooled (B, P) of both alike -> (B,).

    Raises:
        ValueError: if the kind is unknown, shapes differ, or only one side has pooled.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not an alignment loss; choose l2, mse or cosine")
    if predicted.embeds.shape != target.embeds.shape:
        raise ValueError(
            f"predicted conditioning {tuple(predicted.embeds.shape)} and target "
            f"{tuple(target.embeds.shape)} differ; build the head from the decoder's spec"
        )
    if (predicted.pooled is None) != (target.pooled is None):
        raise ValueError(
            "only one of predicted and target has pooled conditioning; build the head from the "
            "decoder's spec"
        )
    real = target.mask
    embeds = target.embeds.float().masked_fill(~real.unsqueeze(-1), 0)
    errors = _errors(predicted.embeds.float(), embeds, kind)  # (B, L)
    if kind == "cosine":
        errors = torch.where(real, errors, predicted.embeds.float().square().mean(dim=-1))
    total = _mean_where(errors, real) + _mean_where(errors, ~real)  # (B,)
    if predicted.pooled is not None and target.pooled is not None:
        total = total + _errors(predicted.pooled.float(), target.pooled.float(), kind)
    return total


def _errors(predicted: Tensor, target: Tensor, kind: str) -> Tensor:
    """Error over the last dimension."""
    if kind == "l2":
        norm: Tensor = torch.linalg.vector_norm(predicted - target, dim=-1)
        return norm
    if kind == "mse":
        return (predicted - target).square().mean(dim=-1)
    similarity: Tensor = F.cosine_similarity(predicted, target, dim=-1)
    return 1 - similarity


def _mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the last dimension of values where the mask is True, 0 where it never is."""
    return values.masked_fill(~mask, 0).sum(-1) / mask.sum(-1).clamp(min=1)
