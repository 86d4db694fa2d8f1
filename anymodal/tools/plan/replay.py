"""Repeated calls on tensors without values, of which only the first is computed.

A denoiser is called at every step with inputs of the same layout. Without values it does the same
each time, so the storages that the first call made are noted again in place of another computation.
With gradients calls leave what is saved for the way back, so all are computed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from anymodal.tools.plan.tracing import MemoryTracker, StorageEvent


@dataclass(frozen=True)
class _Output:
    """A tensor of a call's output: its storage's number and size, and its layout."""

    number: int
    num_bytes: int
    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    mode: FakeTensorMode


@dataclass(frozen=True)
class _Call:
    """The storages that a call made, numbered from `first`, and its output."""

    events: list[StorageEvent]
    first: int
    names: list[tuple[str, str]]
    outputs: list[_Output]
    spec: TreeSpec
    phase: str


@contextlib.contextmanager
def replayed(networks: Sequence[nn.Module], tracker: MemoryTracker) -> Iterator[None]:
    """A block in which calls of a network with inputs of the same layout are computed once.

    One that keeps something beside its output is computed each time.
    """
    parts = [network for network in networks if "forward" not in vars(network)]
    for part in parts:
        setattr(part, "forward", _replaying(part.forward, tracker))  # noqa: B010 (a method elsewhere)
    try:
        yield
    finally:
        for part in parts:
            del part.forward  # the class's own again


def _replaying(forward: Callable[..., object], tracker: MemoryTracker) -> Callable[..., object]:
    calls: dict[Hashable, _Call | None] = {}

    @functools.wraps(forward)  # some pipelines look at a network's signature
    def call(*args: object, **kwargs: object) -> object:
        layout = None if torch.is_grad_enabled() else _layout(args, kwargs)
        if layout is None:
            return forward(*args, **kwargs)
        key = tracker.phase, torch.is_autocast_enabled("cpu"), layout
        if (earlier := calls.get(key)) is not None:
            return _replay(earlier, tracker)
        start, first = len(tracker.events), len(tracker.names_by_tensor)
        output = forward(*args, **kwargs)
        calls[key] = _record(output, start, first, tracker)
        return output

    return call


def _layout(args: tuple[object, ...], kwargs: dict[str, object]) -> Hashable:
    """A call's inputs without tensors' values; None if something else than values is among them."""
    leaves, spec = tree_flatten((args, kwargs))
    layout: list[Hashable] = [spec]
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            layout.append((type(leaf), leaf.shape, leaf.stride(), leaf.dtype, leaf.device))
        elif leaf is None or isinstance(leaf, bool | int | float | str):
            layout.append((type(leaf), leaf))
        else:
            return None
    return tuple(layout)


def _record(output: object, start: int, first: int, tracker: MemoryTracker) -> _Call | None:
    """A call that just ended, if all that it leaves is its output in storages of its own."""
    events = tracker.events[start:]
    alive: dict[int, int] = {}
    for number, size, _ in events:
        if size < 0:
            alive.pop(number, None)
        else:
            alive[number] = size
    leaves, spec = tree_flatten(output)
    outputs = [each for leaf in leaves if (each := _output(leaf, tracker, alive)) is not None]
    only_output = sorted(each.number for each in outputs) == sorted(alive)
    if len(outputs) < len(leaves) or not only_output or any(n < first for n, _, _ in events):
        return None
    return _Call(events, first, tracker.names_by_tensor[first:], outputs, spec, tracker.phase)


def _output(leaf: object, tracker: MemoryTracker, alive: dict[int, int]) -> _Output | None:
    """A tensor in a storage that its call made; None for everything else."""
    if not isinstance(leaf, FakeTensor):
        return None
    number = tracker.numbers.get(leaf.untyped_storage()._cdata, -1)
    if number not in alive:
        return None
    layout = leaf.shape, leaf.stride(), leaf.dtype, leaf.device, leaf.fake_mode
    return _Output(number, alive[number], *layout)


def _replay(call: _Call, tracker: MemoryTracker) -> object:
    """Note a call's storages again, and give an output of the same layout."""
    shift = len(tracker.names_by_tensor) - call.first
    tracker.names_by_tensor += call.names
    tracker.events += [(number + shift, size, phase) for number, size, phase in call.events]
    tracker.phase = call.phase
    tensors = []
    for each in call.outputs:
        with _disable_current_modes():
            layout = torch.empty_strided(each.shape, each.stride, dtype=each.dtype, device="meta")
        tensors.append(FakeTensor(each.mode, layout, each.device))
        tracker.follow(tensors[-1].untyped_storage(), each.number + shift, each.num_bytes)
    return tree_unflatten(tensors, call.spec)
