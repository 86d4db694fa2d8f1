"""Parts built for a folder that may be a stranger's, no larger than the weights that it holds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from anymodal import config as configuration
from anymodal.composition.validate import is_part
from anymodal.io.checkpoint import CheckpointError
from anymodal.io.recorded import OPENS

MAX_MODULES = 100_000
"""The most modules of one part."""


@contextlib.contextmanager
def building_at_most(weights: int, where: str) -> Iterator[None]:
    """Within it, what AnyModal's own constructors build has at most so many weights in all.

    Each part is built without values first (on torch's meta device), so that nothing is allocated
    that the folder's weights won't fill. What opens files, and what a user allowed, isn't tried.

    Raises:
        CheckpointError: before the part that is too large is built.
    """
    before, left = configuration.current_call(), [weights]

    def call(target: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        if is_part(target) and getattr(target, "__name__", "") != OPENS:
            left[0] -= _size(target, arguments, left[0], where)
        return before(target, arguments)

    with configuration.calling(call):
        yield


def _size(target: Any, arguments: Mapping[str, Any], most: int, where: str) -> int:
    """How many weights a target builds, told as soon as they are too many."""
    thread = threading.get_ident()
    counts = {"modules": 0, "weights": 0}
    name = f"{getattr(target, '__qualname__', target)}"

    def count(kind: str, number: int, limit: int) -> None:
        if threading.get_ident() != thread:
            return
        counts[kind] += number
        if counts[kind] > limit:
            raise CheckpointError(
                f"{where} builds a {name} of more than {limit:,} {kind}, and its weights hold no "
                "more; take another copy of it, or don't trust it"
            )

    def on_module(module: nn.Module, key: str, inner: nn.Module | None) -> None:
        count("modules", 1, MAX_MODULES)

    def on_parameter(module: nn.Module, key: str, value: Tensor | None) -> None:
        count("weights", 0 if value is None else value.numel(), most)

    added = (
        hooks.register_module_module_registration_hook(on_module),
        hooks.register_module_parameter_registration_hook(on_parameter),
    )
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            target(**arguments)
    finally:
        for hook in added:
            hook.remove()
    return counts["weights"]
