"""A model's own code on tensors without values, and the memory that it holds meanwhile.

A model's own code runs under torch's `FakeTensorMode`, whose tensors know shape, type and device
and hold nothing. Each storage that comes is noted until it goes, so the peak is that of what
kernels give out; scratch memory inside one isn't seen. Kernels are those of a processor, where a
decoder's attention in mixed precision keeps its scores, which on a GPU are never made.

Where code asks for a value there is none. A mask that picks is taken to pick everything, a truth to
be False (so that no shortcut is taken), a number to be 1, a count 0, an array zeros. Whole numbers
that code itself puts into a small tensor, such as the grids of pictures, keep their values as long
as nothing without one comes in.
"""

from __future__ import annotations

import contextlib
import functools
import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from anymodal.tools.plan.earlier_runs import copy_model

Model = TypeVar("Model", bound=nn.Module)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
BytesByPart = dict[tuple[str, str], int]
"""Bytes by purpose and part."""

StorageEvent = tuple[int, int, str]
"""A storage's number, bytes that came (or went: negative), and the phase it was in."""

_aten = torch.ops.aten


@contextlib.contextmanager
def fake_tensors(original: Model) -> Iterator[Model]:
    """A block in which tensors have no values, and a copy of a model that works in it."""
    model = copy_model(original)
    for part in model.modules():
        if prepare := getattr(part, "prepare", None):
            setattr(part, "prepare", outside_fake_mode(prepare))  # noqa: B010 (no Module declares it)
    mode = _FakeTensors(allow_non_fake_inputs=True)
    _to_fake_cpu(model, mode)
    with mode:
        yield model


MOST_VALUES = 1 << 16
"""Of a tensor that keeps them."""


_MAKING = ("aten::full", "aten::ones", "aten::zeros")


def _makes_few_numbers(func: OpOverload, args: Sequence[Any], kwargs: Mapping[str, object]) -> bool:
    """Return whether an operation makes a small tensor of whole numbers or truths of plain ones."""
    name = getattr(getattr(func, "_schema", None), "name", "")
    if name in ("aten::arange", "aten::scalar_tensor"):
        return all(isinstance(each, int) and abs(each) <= MOST_VALUES for each in args)
    dtype = kwargs.get("dtype")
    if name not in _MAKING or not isinstance(dtype, torch.dtype) or dtype.is_floating_point:
        return False
    return all(isinstance(side, int) for side in args[0]) and math.prod(args[0]) <= MOST_VALUES


class _FakeTensors(FakeTensorMode):
    """Keeps values of small tensors of whole numbers and truths, not of single elements alone."""

    def may_turn_const(self, t: Tensor) -> bool:
        if t.is_floating_point() or t.numel() > MOST_VALUES:
            return bool(super().may_turn_const(t))
        return not (t.is_sparse or self.is_our_fake(t) or t.device.type == "meta")

    def dispatch(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run an operation; what it makes of plain numbers alone has values, too."""
        if _makes_few_numbers(func, args, kwargs or {}):
            with no_dispatch():
                result = func(*args, **(kwargs or {}))
            if self.may_turn_const(result):
                return self.fake_tensor_converter.from_real_tensor(self, result, make_constant=True)
        return super().dispatch(func, types, args, kwargs or {})


def outside_fake_mode(work: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function that computes with values: processors look at theirs, in the CPU's memory."""

    @functools.wraps(work)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with _disable_current_modes():
            return work(*args, **kwargs)

    return call


def _to_fake_cpu(model: nn.Module, mode: FakeTensorMode) -> None:
    """Replace tensors on the meta device by fake ones on the CPU, without values either."""
    fakes: dict[int, Tensor] = {}  # tied weights stay tied

    def empty(tensor: Tensor) -> Tensor:
        if id(tensor) not in fakes:
            # Made by hand: operations in the mode are slow, and `nn.Parameter` calls some.
            layout = torch.empty_strided(
                tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta"
            )
            new = FakeTensor(mode, layout, torch.device("cpu"))
            if isinstance(tensor, nn.Parameter):
                new.requires_grad = tensor.requires_grad
                new._is_param = True  # such as `Parameter` marks what isn't a plain tensor
            fakes[id(tensor)] = new
        return fakes[id(tensor)]

    for module in model.modules():
        stores: list[dict[str, object]] = [
            cast(dict[str, object], module._parameters),
            cast(dict[str, object], module._buffers),
            vars(module),
        ]
        for store in stores:
            for name, value in list(store.items()):
                if isinstance(value, Tensor) and value.is_meta:
                    store[name] = empty(value)


class MemoryTracker(TorchDispatchMode):
    """Records storages as they come and go, each with the part whose code made it.

    torch's own `MemTracker` tells what a peak is made of by kind (weights, gradients, activations),
    not by part, and knows nothing of networks that wait elsewhere.

    Args:
        model: the model at work; its weights are there already.
        parts: names of its parts by the `id` of every module in them.
        phases: likewise, names of networks that wait elsewhere until they work; each begins a
            phase of its own.
    """

    def __init__(
        self, model: nn.Module, parts: Mapping[int, str], phases: Mapping[int, str]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parts, self.phases, self.phase = parts, phases, ""
        weights = [*model.parameters(), *model.buffers()]
        self.weights = {weight.untyped_storage()._cdata for weight in weights}
        self.at_work = [""]
        self.numbers: dict[int, int] = {}  # a storage's address: its number
        self.names_by_tensor: list[tuple[str, str]] = []  # by number: purpose and part
        self.events: list[StorageEvent] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare the wrapper that keeps `torch.compile` away: nothing is compiled here."""
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        result = _without_value(func, args)
        if result is None:
            result = func(*args, **(kwargs or {}))
        for tensor in (result,) if isinstance(result, Tensor) else tree_leaves(result):
            if isinstance(tensor, FakeTensor):
                self._record(tensor.untyped_storage())
        return result

    def _record(self, storage: torch.UntypedStorage) -> None:
        address = storage._cdata
        if address in self.numbers or address in self.weights:
            return
        number, size = len(self.names_by_tensor), storage.nbytes()
        self.names_by_tensor.append(("activations", self.at_work[-1]))
        self.events.append((number, size, self.phase))
        self.follow(storage, number, size)

    def follow(self, storage: torch.UntypedStorage, number: int, size: int) -> None:
        """Give a storage its number until it goes, which is then recorded."""
        self.numbers[storage._cdata] = number
        weakref.finalize(storage, self._forget, storage._cdata, number, size)

    def _forget(self, address: int, number: int, size: int) -> None:
        if self.numbers.get(address) == number:
            del self.numbers[address]
        self.events.append((number, -size, self.phase))

    def assign(self, tensor: Tensor, purpose: str, part: str) -> None:
        """Record a tensor's purpose and part."""
        number = self.numbers.get(tensor.untyped_storage()._cdata)
        if number is not None:
            self.names_by_tensor[number] = purpose, part

    @contextlib.contextmanager
    def tracking(self) -> Iterator[MemoryTracker]:
        """A block in which storages are recorded."""

        def enter(module: nn.Module, _inputs: object) -> None:
            self.at_work.append(self.parts.get(id(module), self.at_work[-1]))
            self.phase = self.phases.get(id(module), self.phase)

        def leave(_module: nn.Module, _inputs: object, _output: object) -> None:
            self.at_work.pop()

        hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
        try:
            with _Arrays(), self, np.errstate(all="ignore"):
                yield self
        finally:
            for hook in hooks:
                hook.remove()

    def peaks(self) -> dict[str, BytesByPart]:
        """Bytes by part at the peak of each phase; the first phase is ''."""
        num_bytes, most = 0, {"": (0, 0)}  # bytes, and how many events had been
        for count, (_, size, phase) in enumerate(self.events, 1):
            num_bytes += size
            if num_bytes > most.get(phase, (-1, 0))[0]:
                most[phase] = num_bytes, count
        return {phase: self._bytes_by_part(count) for phase, (_, count) in most.items()}

    def _bytes_by_part(self, count: int) -> BytesByPart:
        total: BytesByPart = {}
        for number, size, _ in self.events[:count]:
            owner = self.names_by_tensor[number]
            total[owner] = total.get(owner, 0) + size
        return total


def _without_value(func: OpOverload, args: tuple[Any, ...]) -> object:
    """The result of an operation that would read values of tensors; None for every other one, and
    where they are known.
    """
    if func not in _READING or _is_known(args):
        return None
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


_READING = (
    _aten._local_scalar_dense.default,
    _aten.equal.default,
    _aten.nonzero.default,
    _aten.index.Tensor,
)


def _is_known(args: tuple[Any, ...]) -> bool:
    tensors = [each for each in tree_leaves(args) if isinstance(each, FakeTensor)]
    return bool(tensors) and all(each.constant is not None for each in tensors)


class _Arrays(TorchFunctionMode):
    """Gives arrays of zeros, and addresses of zero, for tensors that have no values."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        if args and isinstance(args[0], FakeTensor):
            if func in (Tensor.numpy, Tensor.__array__) and args[0].constant is not None:
                return args[0].constant.numpy()
            if func in (Tensor.numpy, Tensor.__array__):
                return np.zeros(tuple(args[0].shape), str(args[0].dtype).removeprefix("torch."))
            if func is Tensor.data_ptr:
                return 0
        return func(*args, **(kwargs or {}))
