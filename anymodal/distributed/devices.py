"""Devices that models compute on."""

from __future__ import annotations

import platform

import torch


def choose_device(name: str | None) -> str:
    """The device of a name, or without one a GPU where there is one.

    Raises:
        ValueError: if there is no such device.
    """
    device = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=device)  # a name may be right and its driver missing
    except (RuntimeError, AssertionError) as error:
        line = str(error).splitlines()[0]
        raise ValueError(f"device {device!r}: {line}; `anymodal doctor` says why") from None
    return device


def computes_bfloat16(device: str | torch.device) -> bool:
    """Return True if a device multiplies in bfloat16 itself, and not by way of float32.

    A processor without such instructions takes some forty times as long for a product in bfloat16
    as for one in float32 (AVX2, torch 2.13). One that isn't x86 counts as one that has them.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind == "cpu" and platform.machine().lower() in ("x86_64", "amd64", "i386", "i686"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return True
