"""Devices that models compute on."""

from __future__ import annotations

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
