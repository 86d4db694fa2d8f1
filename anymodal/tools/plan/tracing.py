"""Real work on tensors that have shapes and no values, and what it holds of memory meanwhile.

A model's own code runs under torch's `FakeTensorMode`, whose tensors know shape, type and device
and hold nothing. Each storage that comes is noted until it goes, so the peak is that of what
kernels give out; scratch memory inside one isn't seen. Kernels are those of a processor, where a
decoder's attention in mixed precision keeps its scores, which on a GPU are never made.

Where code asks for a value there is none. A mask that picks is taken to pick everything, a truth to
be False (so that no shortcut is taken), a number to be 1, a count 0, an array zeros.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from anymodal.tools.plan.earlier_runs import copy_model

Model = TypeVar("Model", bound=nn.Module)
Held = dict[tuple[str, str], int]
"""Bytes by purpose and part."""

_aten = torch.ops.aten


@contextlib.contextmanager
def fake_tensors(planned: Model) -> Iterator[Model]:
    """A block in which tensors have no values, and a copy of a model that works in it."""
    model = copy_model(planned)
    for part in model.modules():
        if prepare := getattr(part, "prepare", None):
            setattr(part, "prepare", _really(prepare))  # noqa: B010 (no Module declares it)
    with FakeTensorMode(allow_non_fake_inputs=True):
        _come_down(model)
        yield model


def _really(work: Callable[..., Any]) -> Callable[..., Any]:
    """Work with values all the same: processors look at theirs, and a device holds none of it."""

    @functools.wraps(work)
    def call(*given: Any, **more: Any) -> Any:
        with _disable_current_modes():
            return work(*given, **more)

    return call


def _come_down(model: nn.Module) -> None:
    """From the meta device to a processor that has no values either."""
    made: dict[int, Tensor] = {}  # tied weights stay tied

    def empty(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            new = torch.empty_like(tensor, device="cpu")
            if isinstance(tensor, nn.Parameter):
                new = nn.Parameter(new, tensor.requires_grad)
            made[id(tensor)] = new
        return made[id(tensor)]

    for module in model.modules():
        stores: list[dict[str, Any]] = [module._parameters, module._buffers, vars(module)]
        for store in stores:
            for name, value in list(store.items()):
                if isinstance(value, Tensor) and value.is_meta:
                    store[name] = empty(value)


class Watch(TorchDispatchMode):
    """Notes storages as they come and go, each with the part whose code made it.

    Args:
        model: what works; its weights are there already.
        parts: names of its parts by the `id` of every module in them.
        phases: names of those that wait elsewhere until they work, in the same way; what was held
            is told apart by which of them worked last.
    """

    def __init__(
        self, model: nn.Module, parts: Mapping[int, str], phases: Mapping[int, str]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parts, self.phases, self.phase = parts, phases, ""
        weights = [*model.parameters(), *model.buffers()]
        self.weights = {weight.untyped_storage()._cdata for weight in weights}
        self.at_work = [""]
        self.living: dict[int, int] = {}  # a storage's address: its number
        self.owners: list[tuple[str, str]] = []  # by number: purpose and part
        # A storage's number, bytes that came (or went: negative), and the phase it was in.
        self.events: list[tuple[int, int, str]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = _without_value(func, args)
        if made is None:
            made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, FakeTensor):
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        address = storage._cdata
        if address in self.living or address in self.weights:
            return
        number, size = len(self.owners), storage.nbytes()
        self.living[address] = number
        self.owners.append(("activations", self.at_work[-1]))
        self.events.append((number, size, self.phase))
        weakref.finalize(storage, self._forget, address, number, size)

    def _forget(self, address: int, number: int, size: int) -> None:
        if self.living.get(address) == number:
            del self.living[address]
        self.events.append((number, -size, self.phase))

    def own(self, tensor: Tensor, purpose: str, part: str) -> None:
        """Say what a tensor is for, and whose."""
        number = self.living.get(tensor.untyped_storage()._cdata)
        if number is not None:
            self.owners[number] = purpose, part

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        """A block of work."""

        def enter(module: nn.Module, _given: Any) -> None:
            self.at_work.append(self.parts.get(id(module), self.at_work[-1]))
            self.phase = self.phases.get(id(module), self.phase)

        def leave(_module: nn.Module, _given: Any, _made: Any) -> None:
            self.at_work.pop()

        hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
        try:
            with _Arrays(), self, np.errstate(all="ignore"):
                yield self
        finally:
            for hook in hooks:
                hook.remove()

    def peaks(self) -> dict[str, Held]:
        """What was held at the moment when it was most, in each phase; the first is ''."""
        held, most = 0, {"": (0, 0)}  # bytes, and how many events had been
        for count, (_, size, phase) in enumerate(self.events, 1):
            held += size
            if held > most.get(phase, (-1, 0))[0]:
                most[phase] = held, count
        return {phase: self._held(count) for phase, (_, count) in most.items()}

    def _held(self, count: int) -> Held:
        found: Held = {}
        for number, size, _ in self.events[:count]:
            owner = self.owners[number]
            found[owner] = found.get(owner, 0) + size
        return found


def _without_value(func: Any, args: Any) -> Any:
    """What an operation gives that would ask tensors for values; None for every other one."""
    if func is _aten._local_scalar_dense.default:
        kind = args[0].dtype
        return False if kind == torch.bool else 1.0 if kind.is_floating_point else 0
    if func is _aten.equal.default:
        return False
    if func is _aten.nonzero.default:
        return args[0].new_zeros(args[0].numel(), args[0].ndim, dtype=torch.long)
    if func is _aten.index.Tensor:
        masks = [i for i in args[1] if i is not None and i.dtype == torch.bool]
        if len(masks) == len(args[1]) == 1:
            return args[0].flatten(0, masks[0].ndim - 1).clone()
    return None


class _Arrays(TorchFunctionMode):
    """Gives arrays of zeros, and addresses of zero, for tensors that have no values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and isinstance(args[0], FakeTensor):
            if func in (Tensor.numpy, Tensor.__array__):
                return np.zeros(tuple(args[0].shape), str(args[0].dtype).removeprefix("torch."))
            if func is Tensor.data_ptr:
                return 0
        return func(*args, **(kwargs or {}))
