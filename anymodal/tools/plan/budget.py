"""The memory budget of a device."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

UNITS = {"GB": 10**9, "GiB": 2**30, "MB": 10**6, "MiB": 2**20}
CUDA_TAKES = 600 * 10**6
"""Bytes that CUDA's own context, its libraries' kernels and workspaces take of a GPU."""


class MemoryBudget(NamedTuple):
    """A device's name, and the bytes of it that a plan may use."""

    name: str
    bytes: int


def read_budget(device: str) -> MemoryBudget:
    """The budget that `--device` names: a GPU's size (`24GB`), a GPU (`cuda:0`), or `cpu`.

    A GPU's budget is what it has less what CUDA itself takes.

    Raises:
        ValueError: for anything else, or for a GPU that isn't here.
    """
    if match := re.fullmatch(r"(\d+(?:\.\d+)?) ?(GB|GiB|MB|MiB)", device):
        size = round(float(match[1]) * UNITS[match[2]])
        if size <= CUDA_TAKES:
            raise ValueError(
                f"a GPU of {device} has no room for CUDA itself, which takes "
                f"{CUDA_TAKES / 1e9:g} GB; give a larger one, or cpu"
            )
        return MemoryBudget(device, size - CUDA_TAKES)
    if device == "cpu":
        return MemoryBudget(device, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if re.fullmatch(r"cuda(:\d+)?", device):
        return _gpu(device)
    raise ValueError(
        f"there is no device {device!r}; give a size with its unit, such as 24GB, or cuda:0, or cpu"
    )


def _gpu(device: str) -> MemoryBudget:
    import torch

    index = int(device.partition(":")[2] or 0)
    count = torch.cuda.device_count()
    if index >= count:
        raise ValueError(
            f"there is no {device} here, only {count} GPUs; give a size instead, such as 24GB"
        )
    return MemoryBudget(device, torch.cuda.get_device_properties(index).total_memory - CUDA_TAKES)
