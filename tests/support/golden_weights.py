"""The rule that gives the golden files their weights and inputs, so that no weights are shipped."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.support.paths import ROOT as REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden"


def golden_draw(name: str, *shape: int) -> np.ndarray:
    """Standard normal float32 values of a shape, seeded by the crc32 of a name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.standard_normal(shape, dtype=np.float32)


def golden_input(name: str, *shape: int) -> Tensor:
    """The input that the golden outputs were computed from."""
    return torch.from_numpy(golden_draw(name, *shape))


def golden_state(
    shapes: Mapping[str, Sequence[int]], scales: Mapping[str, float] | None = None
) -> dict[str, Tensor]:
    """Weights for every named shape: fan-in scaled normals, around 1 for norm weights.

    Where a name ends in one of `scales`, its normals are scaled by that instead.
    """
    state = {}
    for key, shape in shapes.items():
        scale = 0.02 if len(shape) < 2 else min(0.08, 1 / math.sqrt(math.prod(shape[1:])))
        scale = next((s for end, s in (scales or {}).items() if key.endswith(end)), scale)
        value = golden_draw(key, *shape) * np.float32(scale)
        if len(shape) == 1 and key.endswith("weight"):
            value = value + np.float32(1)
        state[key] = torch.from_numpy(np.asarray(value))
    return state


def golden_weights(module: nn.Module) -> nn.Module:
    """Fill a module's float entries by the rule, in place, and return it in eval mode."""
    shapes = {
        key: tuple(value.shape)
        for key, value in module.state_dict().items()
        if value.is_floating_point() and not key.endswith((".mask", "log_logit_scale"))
    }
    module.load_state_dict(golden_state(shapes), strict=False)
    return module.eval()


def golden_published(name: str) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    """A published architecture's settings, weights by its own keys, and inputs and outputs."""
    file = json.loads((GOLDEN / f"{name}_shapes.json").read_text())
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        values = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return file["config"], golden_state(file["shapes"], file["scales"]), values
