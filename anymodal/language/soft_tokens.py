"""Soft tokens of media: each item's own, and those of several items behind one another.

Shapes: K soft tokens, D width; with what they add to L deeper layers, W = D · (1 + L).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anymodal.language.chat_prompt import MediaReference
from anymodal.language.widths import widen


def own_soft(
    tokens: Tensor, items: Sequence[MediaReference], mask: Tensor | None = None
) -> list[Tensor]:
    """Each item's own soft tokens (K, D), of those of a batch (items, longest K, D).

    Args:
        tokens: of all items, shorter ones padded.
        items: in the same order.
        mask: which tokens are real (items, longest K), where the language model itself gave them.

    Raises:
        ValueError: if an item has more places in its prompt than it got soft tokens, or the
            language model gave it another number of them.
    """
    counts = [len(item.places) for item in items]
    if mask is not None:
        _check_counts(items, counts, mask.sum(1))
    if max(counts) > tokens.shape[1]:
        raise ValueError(
            f"a prompt has {max(counts)} places for the soft tokens of a media item of "
            f"{items[0].modality!r}, and the projection gives {tokens.shape[1]}; let its "
            "positions_of() count what its forward() gives"
        )
    return [each[:count] for each, count in zip(tokens, counts, strict=True)]


def _check_counts(items: Sequence[MediaReference], counts: Sequence[int], given: Tensor) -> None:
    # Asked as a truth, which tensors without values deny, as those of a plan are.
    if not bool((given != torch.tensor(counts, device=given.device)).any()):
        return
    for item, count, number in zip(items, counts, given.tolist(), strict=True):
        if count != number:
            raise ValueError(
                f"a prompt has {count} places for the soft tokens of a media item of "
                f"{item.modality!r}, and the language model's tower gives {number}: settings of "
                "its processor and its configuration don't belong together; open the checkpoint "
                "with the processor's files that it was published with"
            )


def join_soft(tokens: Sequence[Tensor]) -> Tensor:
    """Soft tokens of several items, which may add to deeper layers or not."""
    width = max(each.shape[-1] for each in tokens)
    return torch.cat([widen(each, width) for each in tokens])
