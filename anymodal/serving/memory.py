"""Memory that ran out: how it is told from other errors, and what is given back."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from pathlib import Path

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that a device, or this machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU's allocator has no class of its own.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def free_bytes(device: str) -> float:
    """Free memory of a device, `auto` among them; infinite where nobody tells."""
    if device != "cpu" and torch.cuda.is_available():
        with contextlib.suppress(RuntimeError):  # of no CUDA device
            return float(torch.cuda.mem_get_info(None if device == "auto" else device)[0])
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    return float("inf")


def free_memory() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()  # first: an error's traceback and frames refer to one another, and to tensors
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim_heap()


def trim_heap() -> None:
    """Give free pages of the C library's heaps back to the system, where it is glibc.

    It keeps them otherwise, as much in the heap of each thread as its largest batch took.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no glibc, as on Windows
        ctypes.CDLL(None).malloc_trim(0)
