"""Guidance in three branches, within a pipeline that knows of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from anymodal.decoders.mechanism import BranchWeights
from anymodal.decoders.pipeline import Network
from anymodal.types import Conditioning


@contextmanager
def guide_in_three_branches(
    network: Network,
    weights: BranchWeights,
    without: Callable[[], AbstractContextManager[None]] = nullcontext,
    replaced: Callable[[Any], Any] = lambda value: value,
) -> Iterator[None]:
    """Let a denoiser give the guided estimate in both branches that its pipeline asks for.

    Whatever weight the pipeline then gives to the difference of the two, which is 0, the estimate
    stands.

    Source: Brooks et al. 2023 (InstructPix2Pix, arXiv:2211.09800), equation 3.

    Args:
        network: is asked for the negative captions' estimates, then the captions', in one batch.
        weights: of the caption and of the references.
        without: hides the references while it lasts.
        replaced: inputs of the network for the third estimate, of those for the negative captions'.
    """
    asking = False

    def combine(
        _module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        nonlocal asking
        if asking:
            return
        negative, positive = output[0].chunk(2)  # (2B, C, …) -> (B, C, …) each
        rows = len(output[0])

        def first_half(value: Any) -> Any:
            is_batch = isinstance(value, Tensor) and value.ndim and len(value) == rows
            return value[: rows // 2] if is_batch else value

        inputs, keywords = replaced(tree_map(first_half, (inputs, keywords)))
        asking = True
        try:
            with without():
                neither = network(*inputs, **keywords)[0]
        finally:
            asking = False
        guided = (
            neither
            + weights.references * (negative - neither)
            + weights.text * (positive - negative)
        )
        output[0].copy_(torch.cat([guided, guided]))

    module: Any = network
    hook = module.register_forward_hook(combine, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def replace_conditioning(inputs: Any, old: Conditioning, new: Conditioning) -> Any:
    """A network's inputs with one conditioning in the place of another, found by its values.

    Raises:
        ValueError: where the embeddings aren't among them as they are.
    """
    pairs = [(old.mask, new.mask), (old.embeds, new.embeds)]
    if old.pooled is not None and new.pooled is not None:
        pairs.append((old.pooled, new.pooled))
    is_found = False

    def swap(value: Any) -> Any:
        nonlocal is_found
        for one, other in pairs if isinstance(value, Tensor) else ():
            if value.shape == one.shape and torch.equal(value, one.to(value)):
                is_found = is_found or one is old.embeds
                return other.to(value)
        return value

    result = tree_map(swap, inputs)
    if not is_found:
        raise ValueError(
            "the pipeline hands its denoiser another conditioning than it was given, so that "
            "reference_guidance can't lead away from one; leave it out"
        )
    return result
