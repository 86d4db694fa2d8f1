"""Distributed collectives; no-ops when the world size is 1."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

ValueT = TypeVar("ValueT")


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def is_rank_zero() -> bool:
    """Return whether this process is the first, which alone logs, by how it was launched."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"


def all_reduce_sum(values: Tensor) -> Tensor:
    """The sum of a tensor over processes, which must all call this, without a gradient."""
    if world_size() == 1:
        return values
    total = values.detach().to(_place(), copy=True)  # all_reduce writes in place
    dist.all_reduce(total)
    return total.to(values.device)


def all_gather_object(value: ValueT) -> list[ValueT]:
    """A plain value of each process, in order; every process must call this."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def all_gather_with_grad(rows: Tensor) -> Tensor:
    """The rows (n, E) of all processes in order (Σn, E); own rows keep their gradient.

    Every process must call this, one without rows too, which may not know E and gives (0, 0).
    """
    if world_size() == 1:
        return rows
    local_shape = torch.tensor(rows.shape, device=_place())
    shapes = [torch.zeros_like(local_shape) for _ in range(world_size())]
    dist.all_gather(shapes, local_shape)
    most, width = torch.stack(shapes).amax(0).tolist()
    # All the same size, since all_gather takes no others.
    block = rows.new_zeros(most, width, device=_place())
    block[: len(rows), : rows.shape[1]] = rows.detach()
    blocks = [torch.empty_like(block) for _ in shapes]
    dist.all_gather(blocks, block)
    parts = [
        part[: int(shape[0])].to(rows.device) for part, shape in zip(blocks, shapes, strict=True)
    ]
    # The gathered copy of this process's own rows has no gradient.
    if len(rows):
        parts[rank()] = rows
    return torch.cat(parts)


def _place() -> torch.device:
    """The device of tensors in collectives: with gloo the CPU, else the accelerator."""
    accelerator = torch.accelerator.current_accelerator()
    return torch.device("cpu") if dist.get_backend() == "gloo" or not accelerator else accelerator
