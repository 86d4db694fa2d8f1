"""Plans with plenty of memory, and what they are compared with."""

from __future__ import annotations

from typing import Any

import torch

from anymodal.tools.plan import memory
from anymodal.tools.plan.budget import MemoryBudget
from anymodal.tools.plan.plan import MemoryPlan, make_plans

PLENTY = MemoryBudget("plenty", 10**15)


def plan(*configs: object, budget: MemoryBudget = PLENTY, overrides: Any = ()) -> list[MemoryPlan]:
    names = [str(config) for config in configs]
    return make_plans(names, overrides, budget, context=256)


def sizes(model: torch.nn.Module) -> int:
    return sum(memory.weights_of(model).values())
