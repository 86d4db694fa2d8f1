"""A plan: what configurations take of a device's memory, and what makes them fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from anymodal import config as configuration
from anymodal.io.checkpoint import CONFIG
from anymodal.tools.plan.advice import Advice, Use, advise
from anymodal.tools.plan.budget import MemoryBudget
from anymodal.tools.plan.memory import Need
from anymodal.tools.plan.meta_models import (
    build_run,
    compose_model,
    held_out_data,
    read_model,
)
from anymodal.tools.plan.parts import Part, list_parts


@dataclass(frozen=True)
class MemoryPlan:
    """One configuration: its parts, what it takes of a device, whether that fits, and if not what
    saves memory and the peak with all of that done.
    """

    config: str
    parts: list[Part]
    need: Need
    device: str
    budget: int
    advice: list[Advice]
    advised: int | None

    @property
    def fits(self) -> bool:
        """True if the peak stays within the budget."""
        return self.need.peak <= self.budget

    def to_json(self) -> dict[str, Any]:
        """All of it in plain containers, sums included."""
        fields = dataclasses.asdict(dataclasses.replace(self, need=Need(self.need.use, {})))
        need = {name: getattr(self.need, name) for name in ("use", "unknown", "assumed", "phase")}
        return {**fields, "need": need, "peak": self.need.peak, "fits": self.fits}


def make_plans(
    configs: Iterable[str], overrides: Iterable[str], budget: MemoryBudget, *, context: int
) -> list[MemoryPlan]:
    """Plan configurations in order; a run may stand on the finished models of those before it.

    Args:
        configs: model configurations, model folders or names, and training configurations.
        overrides: `key=value`, of all of them; models in folders take none.
        budget: the device.
        context: tokens of a conversation that a model answers.

    Raises:
        ValueError: for a configuration that can't work, or a model that isn't there.
        OSError: for a part's folder that isn't there.
    """
    earlier: dict[Path, nn.Module] = {}
    plans, overrides = [], list(overrides)
    for name in configs:
        trusted_packages: list[str] = []
        if is_model(name):
            config = read_model(name, overrides)
            trusted_packages = list(config.get("trusted_packages", []))
            use = Use(compose_model(config, earlier, trusted_packages), context)
        else:
            from anymodal.training.run import FINISHED, read_run  # with lightning, for a run alone

            run = read_run(name, overrides)
            objective, data = build_run(run, earlier)
            use = Use(objective, run=run, data=data, held_out=held_out_data(run))
            earlier[Path(run.output_dir) / FINISHED] = objective.model
            trusted_packages = run.trusted
        plans.append(_plan(name, use, budget, trusted_packages))
    return plans


def is_model(name: str) -> bool:
    """Return whether a name stands for a model rather than a training configuration.

    Raises:
        ConfigError: for a file that is neither.
    """
    if not name.endswith((".yaml", ".yml")) or Path(name).name == CONFIG:
        return True
    config = configuration.load_config(name)
    if "modalities" not in config and "stage" not in config:
        raise configuration.ConfigError(
            f"{name} is neither a model, which has 'modalities', nor a training run, which has "
            "'stage'; `anymodal ls` lists configurations"
        )
    return "modalities" in config


def _plan(name: str, use: Use, budget: MemoryBudget, trusted_packages: list[str]) -> MemoryPlan:
    need = use.need()  # of a run, this sets what trains
    advice, advised = (
        ([], None)
        if need.peak <= budget.bytes
        else advise(use, budget.bytes, trusted_packages, offload=budget.name != "cpu")
    )
    return MemoryPlan(name, list_parts(use.model, need.sizes), need, *budget, advice, advised)
