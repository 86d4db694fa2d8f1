"""Weights that a checkpoint lacks: refused, unless encoding never reads them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from anymodal.encoders.base import Encoder


def check_missing(
    name: str, encoder: Encoder, model: nn.Module, names: Iterable[str], batch: Tensor
) -> None:
    """Refuse a checkpoint without weights that encoding reads, and set the others to zero.

    Whether one is read, as a `mask_token` isn't, is tried: by its gradient of what is encoded.

    Args:
        name: what the checkpoint is called.
        encoder: what it was opened as.
        model: the model in it, whose parts that encoding has no use for are gone.
        names: of the weights that the checkpoint lacks, as in the model.
        batch: anything that the encoder reads.

    Raises:
        ValueError: naming one of the weights.
    """
    weights = dict(model.named_parameters())
    all_names = set(names)
    absent = {key: weights[key] for key in sorted(all_names.intersection(weights))}
    read = sorted(all_names.intersection(key for key, _ in model.named_buffers()))
    read += _names_read(encoder, model, absent, batch) if absent else []
    if read:
        raise ValueError(
            f"{name!r} lacks {len(read)} weights, as {read[0]}; it would encode with random ones, "
            "so give a complete checkpoint"
        )
    for weight in absent.values():  # random ones would be others each time, for caches and hashes
        weight.data.zero_()


def _names_read(
    encoder: Encoder, model: nn.Module, weights: dict[str, nn.Parameter], batch: Tensor
) -> list[str]:
    """The names of those weights that encoding reads."""
    requires_grad = [weight.requires_grad for weight in model.parameters()]
    model.requires_grad_(False)
    for weight in weights.values():
        weight.requires_grad_(True)
    with torch.enable_grad():
        total = encoder(batch).values.float().sum() + encoder.embed(batch).float().sum()
        if not total.requires_grad:
            names: list[str] = []
        else:
            # A weight that nothing reads has no gradient at all, not one of zeros.
            gradients = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
            names = [key for key, grad in zip(weights, gradients, strict=True) if grad is not None]
    for weight, trains in zip(model.parameters(), requires_grad, strict=True):
        weight.requires_grad_(trains)
    return names
