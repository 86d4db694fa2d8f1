"""Memory that ran out: how it is told from other errors, and what is given back."""

from __future__ import annotations

import gc

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that a device, or this machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU's allocator has no class of its own.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def free_memory() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()  # first: an error's traceback and frames refer to one another, and to tensors
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
