"""Parts built for a folder that may be a stranger's, no larger than the weights that it holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from anymodal.composition.validate import is_part
from anymodal.config import BuildPart
from anymodal.io.checkpoint import CheckpointError
from anymodal.io.recorded import OPENS

MAX_MODULES = 100_000
"""The most modules of one part."""


def building_at_most(weights: int, label: str, build_part: BuildPart) -> BuildPart:
    """A way to build parts of which AnyModal's own constructors make at most so many weights.

    Each part is built without values first (on torch's meta device), so that nothing is allocated
    that the folder's weights won't fill. What opens files, and what a user allowed, isn't tried.
    The result raises a CheckpointError before a part that is too large is built.

    Args:
        weights: the most of them, of all parts together.
        label: the file that names the parts, for the message.
        build_part: how a part that is small enough is built.
    """
    budget = weights

    def build_within_budget(
        target: Callable[..., object], arguments: Mapping[str, object]
    ) -> object:
        nonlocal budget
        if is_part(target) and getattr(target, "__name__", "") != OPENS:
            budget -= _size(target, arguments, budget, label)
        return build_part(target, arguments)

    return build_within_budget


def _size(
    target: Callable[..., object], arguments: Mapping[str, object], most: int, label: str
) -> int:
    """Number of weights that a target builds; refused as soon as they are too many."""
    thread = threading.get_ident()
    counts = {"modules": 0, "weights": 0}
    name = f"{getattr(target, '__qualname__', target)}"

    def count(kind: str, number: int, limit: int) -> None:
        # torch's registration hooks are global: other threads may build models meanwhile.
        if threading.get_ident() != thread:
            return
        counts[kind] += number
        if counts[kind] > limit:
            raise CheckpointError(
                f"{label} builds a {name} of more than {limit:,} {kind}, and its weights hold no "
                "more; take another copy of it, or don't trust it"
            )

    def on_module(module: nn.Module, key: str, inner: nn.Module | None) -> None:
        count("modules", 1, MAX_MODULES)

    def on_parameter(module: nn.Module, key: str, value: Tensor | None) -> None:
        count("weights", 0 if value is None else value.numel(), most)

    handles = (
        hooks.register_module_module_registration_hook(on_module),
        hooks.register_module_parameter_registration_hook(on_parameter),
    )
    try:
        # Apart from the random numbers, so that the part itself is drawn as without this trial.
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            target(**arguments)
    finally:
        for hook in handles:
            hook.remove()
    return counts["weights"]
