"""Reads of tensors' values by the host, at which the package's code waits for a device."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.paths import ROOT

READS = ("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__", "__index__")
OURS = tuple(f"{ROOT}/{folder}/" for folder in ("anymodal", "encoders", "decoders"))


def caller() -> str:
    """The function outside of torch that is at work, if it is the package's; else nothing."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "/torch/" not in name and name != __file__:
            return f"{name}:{frame.f_code.co_name}" if name.startswith(OURS) else ""
        frame = frame.f_back  # type: ignore[assignment]
    return ""


class _Masks(TorchDispatchMode):
    """Notes masks that pick, whose results have a size that only the device knows."""

    def __init__(self, reads: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reads = reads

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.index.Tensor:
            masks = [index for index in args[1] if index is not None and index.dtype == torch.bool]
            if masks and (place := caller()):
                self.reads.append(f"{place} (mask)")
        return func(*args, **(kwargs or {}))


@contextmanager
def host_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A block in which reads by the package's own code are noted, by file and function.

    On a processor nothing waits, so what is counted is what would wait on a GPU: values read, and
    masks that pick. Reads by torch, transformers and Lightning themselves aren't the package's.
    """
    reads: list[str] = []
    with monkeypatch.context() as patch, _Masks(reads):
        for name in READS:
            patch.setattr(Tensor, name, _noting(getattr(Tensor, name), name, reads))
        yield reads


def _noting(plain: Any, name: str, reads: list[str]) -> Any:
    def read(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if place := caller():
            reads.append(f"{place} ({name})")
        return plain(tensor, *args, **kwargs)

    return read
