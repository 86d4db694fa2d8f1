"""Guidance in three branches, within a pipeline that knows of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from anymodal.decoders.mechanism import BranchWeights
from anymodal.decoders.pipeline import Network


@contextmanager
def guide_in_three_branches(
    network: Network, weights: BranchWeights, without: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Let a denoiser give the guided estimate in both branches that its pipeline asks for.

    Whatever weight the pipeline then gives to the difference of the two, which is 0, the estimate
    stands.

    Source: Brooks et al. 2023 (InstructPix2Pix, arXiv:2211.09800), equation 3.

    Args:
        network: is asked for the negative captions' estimates, then the captions', in one batch.
        weights: of the caption and of the references.
        without: hides the references while it lasts.
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

        inputs, keywords = tree_map(first_half, (inputs, keywords))
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
