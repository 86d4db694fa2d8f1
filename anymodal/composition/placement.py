"""Placement of a model's parts: devices and precisions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from anymodal.config import suggest
from anymodal.distributed import devices

Setting = TypeVar("Setting", torch.dtype, torch.device)
ByName = dict[str, Setting | None]
"""A device or a precision by the name of a module, of which the longest that fits counts; None
leaves a module as it is.
"""

PRECISE_BUFFERS = ("inv_freq", "original_inv_freq")
"""Buffers whose precision stays, as in transformers: far positions rotate by small differences."""


def parse_dtypes(dtype: object) -> ByName[torch.dtype]:
    """The argument `dtype`: a precision for all, or one by the name of a part; None leaves it open.

    `auto` is that of the files, also where a device is slow with it.

    Raises:
        ValueError: there is no such precision.
    """
    return {} if dtype is None else _by_name(dtype, _precision, "dtype")


def parse_devices(device: object, device_map: object) -> ByName[torch.device]:
    """The arguments `device` and `device_map`: a device for all, or one by the name of a part.

    `auto` is a GPU where there is one.

    Raises:
        ValueError: there is no such device, or both are given.
    """
    if device is not None and device_map is not None:
        raise ValueError("give device or device_map, not both")
    if device is not None and isinstance(device, Mapping):
        raise ValueError("device is one for all parts; give device_map for one by name")
    if device is not None:
        return {"": _device("device", device)}
    return _by_name(device_map, _device, "device_map")


def _by_name(
    setting: object, parse: Callable[[str, object], Setting | None], label: str
) -> ByName[Setting]:
    mapping = setting if isinstance(setting, Mapping) else {"": setting}
    for name in mapping:
        if not isinstance(name, str):
            raise ValueError(f"{label} has {name!r}; its keys are names of parts, as 'language'")
    return {
        name: None
        if value is None
        else parse(f"{label}[{name!r}]" if isinstance(setting, Mapping) else label, value)
        for name, value in mapping.items()
    }


def _precision(label: str, value: object) -> torch.dtype | None:
    if value == "auto":  # as each part is saved, or its configuration says
        return None
    name = value.removeprefix("torch.") if isinstance(value, str) else ""
    dtype = getattr(torch, name, None) if name else value
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point and dtype.itemsize > 1):
        raise ValueError(f"{label}={value!r}; give auto, float32, bfloat16, float16 or float64")
    return dtype


def _device(label: str, value: object) -> torch.device:
    if isinstance(value, bool) or not isinstance(value, str | int | torch.device):
        raise ValueError(f"{label}={value!r}; give the name of a device, as cuda:0, or auto")
    if value == "auto":
        return torch.device(devices.choose_device(None))
    try:
        device = torch.device(value)
    except (RuntimeError, AssertionError) as error:
        line = str(error).splitlines()[0]
        raise ValueError(f"{label}={value!r}: {line}; give auto, cpu or cuda") from None
    if device.type == "meta":
        raise ValueError(
            f"{label}='meta', where nothing is computed; give weights=False instead, for a plan"
        )
    devices.choose_device(str(device))  # tried: a name may be right and its driver missing
    return device


def place(model: nn.Module, dtypes: ByName[torch.dtype], places: ByName[torch.device]) -> None:
    """Move a model's modules, and turn their weights into other precisions.

    A decoder whose weights wait in the CPU's memory stays as it is. What has a device and no
    precision is widened (`widen_for`); a warning tells where bfloat16 was asked for on a processor
    that has to imitate it.

    Raises:
        ValueError: a name is none of the model's, or such a decoder should have another precision.
    """
    modules = dict(model.named_modules())
    parts = _parts(model)
    for name in (*dtypes, *places):
        # What is within a part computes where the part does.
        if name not in (parts if name in places else modules):
            raise ValueError(f"the model has no part {name!r}{suggest(name, parts)}")
    offload_names = [name for name, module in modules.items() if getattr(module, "offload", None)]
    for name in offload_names:
        inside = [value for key, value in dtypes.items() if key.startswith(f"{name}.")]
        if any(value is not None for value in (_of(name, dtypes), *inside)):
            raise ValueError(
                f"{name} is offloaded and keeps the precision that it was opened in; give it "
                f"`dtype` in the configuration, and here {{..., {name!r}: 'auto'}}"
            )
    is_slow = False
    for name, module in modules.items():
        if not any(f"{name}.".startswith(f"{each}.") for each in offload_names):
            _move(module, _of(name, dtypes), _of(name, places))
            if _of(name, places) is not None:
                if _is_open(name, dtypes):
                    _widen(module)
                is_slow |= any(_is_imitated(each) for each in module.parameters(recurse=False))
    if is_slow:
        warnings.warn(
            "weights are in bfloat16, which this processor has no instructions for: it takes many "
            "times as long as in float32; leave dtype out, or give dtype=float32",
            stacklevel=3,
        )


def widen_for(device: torch.device, part: nn.Module) -> None:
    """Turn a part's weights in bfloat16 into float32, where its device has to imitate bfloat16."""
    if not devices.computes_bfloat16(device):
        for module in part.modules():
            _widen(module)


def _is_imitated(tensor: Tensor) -> bool:
    is_half = tensor.dtype == torch.bfloat16
    return is_half and tensor.device.type == "cpu" and not devices.computes_bfloat16(tensor.device)


def _widen(module: nn.Module) -> None:
    def widen(tensor: Tensor) -> Tensor:
        return tensor.float() if _is_imitated(tensor) else tensor

    module._apply(widen, recurse=False)


def _is_open(name: str, dtypes: ByName[torch.dtype]) -> bool:
    """Return whether nothing was said of a module's precision."""
    return not any(not key or f"{name}.".startswith(f"{key}.") for key in dtypes)


def _parts(model: nn.Module) -> list[str]:
    """Names of what has a place of its own: the parts, and the groups that they are in."""
    names = [""]
    for name, part in model.named_children():
        names.append(name)
        if isinstance(part, nn.ModuleDict):
            names += [f"{name}.{each}" for each in part]
    return names


def _of(name: str, settings: ByName[Setting]) -> Setting | None:
    prefixes = [key for key in settings if not key or f"{name}.".startswith(f"{key}.")]
    return settings[max(prefixes, key=len)] if prefixes else None


def _move(module: nn.Module, dtype: torch.dtype | None, device: torch.device | None) -> None:
    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype if tensor.is_floating_point() else None)

    if dtype is None and device is None:
        return
    buffers = {
        name: buffer
        for name, buffer in module.named_buffers(recurse=False)
        if name in PRECISE_BUFFERS
    }
    # Module by module, not `to()`, which would reach the parts within that have other settings.
    module._apply(move, recurse=False)
    for name, buffer in buffers.items():
        setattr(module, name, buffer.to(device))
