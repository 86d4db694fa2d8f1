"""Regional torch.compile and activation checkpointing of repeated blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.backends import cuda
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

_KERNELS: dict[Any, Callable[[], bool]] = {
    SDPBackend.MATH: cuda.math_sdp_enabled,
    SDPBackend.FLASH_ATTENTION: cuda.flash_sdp_enabled,
    SDPBackend.EFFICIENT_ATTENTION: cuda.mem_efficient_sdp_enabled,
    SDPBackend.CUDNN_ATTENTION: cuda.cudnn_sdp_enabled,
}


def find_regions(model: nn.Module) -> list[nn.Module]:
    """The blocks that a model repeats: members of lists of one class, outermost.

    Lists of single layers, such as linear ones, aren't worth it.
    """
    regions: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for module in model.modules():  # parents come before children
        if module in inside or not isinstance(module, nn.ModuleList):
            continue
        members = list(module)
        alike = len({type(member) for member in members}) == 1
        if alike and not isinstance(members[0], nn.ModuleList) and any(members[0].children()):
            regions += [member for member in members if member not in inside]
            inside.update(part for member in members for part in member.modules())
    return regions


@contextmanager
def transform_regions(model: nn.Module, *, compiled: bool, checkpointed: bool) -> Iterator[None]:
    """Run a model's blocks compiled, or recompute their activations, where a gradient is wanted.

    Compiling block by block takes seconds where a whole model takes minutes: blocks of one class
    share their code. Without a gradient blocks run as they are, so what frozen parts give, and what
    is kept of it, stays the same to the bit.

    Args:
        model: afterwards as before.
        compiled: by `torch.compile`, for inputs of any size.
        checkpointed: keep a block's inputs only, and compute what is inside a second time.
    """
    before = {}
    for region in find_regions(model) if compiled or checkpointed else ():
        before[region] = vars(region).get("forward")
        region.forward = _switch(region.forward, compiled, checkpointed)
    try:
        yield
    finally:
        for region, forward in before.items():
            # An attribute of the instance hides the class's method; without it that is back.
            del region.forward
            if forward is not None:
                region.forward = forward


def _switch(plain: Callable[..., Any], compiles: bool, checkpoints: bool) -> Callable[..., Any]:
    quick = torch.compile(plain, dynamic=True) if compiles else plain
    if checkpoints:
        # Re-entrant checkpointing drops gradients of blocks whose inputs need none.
        quick = partial(checkpoint, quick, use_reentrant=False, context_fn=_contexts)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return (quick if torch.is_grad_enabled() else plain)(*args, **kwargs)

    return forward


def _contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts of a block's two passes; the second has the first one's kernels of attention, which
    decoders choose around their own call (`decoders.calls.cpu_attention`) and which is over then.
    """
    enabled = [kernel for kernel, is_enabled in _KERNELS.items() if is_enabled()]
    return nullcontext(), sdpa_kernel(enabled)
