"""The best weights of a run, by a figure of its validations."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anymodal.config import ConfigError, suggest
from anymodal.distributed import collectives
from anymodal.io.checkpoint import replacing
from anymodal.training.checkpoints import read_checkpoint, seal
from anymodal.training.strategies import distribute_like, full_tensor
from anymodal.training.trainable import load_buffers, trained_buffers
from anymodal.training.validation.configuration import LOSS, ValidationConfig

_LOG = logging.getLogger("anymodal")

BEST = "best.ckpt"


def check_monitor(monitor: str, figures: Mapping[str, float]) -> None:
    """Refuse a loss that the first validation didn't have, since no other one will have it.

    Another figure may come later, as of media that a model doesn't make yet.

    Raises:
        ConfigError: with the figures that there are.
    """
    if figures and LOSS in monitor.split("/") and monitor not in figures:
        raise ConfigError(
            f"validation.monitor={monitor!r} is no loss of this run{suggest(monitor, figures)}"
        )


class BestWeights:
    """Keeps the trained weights of the best validation in a file.

    Args:
        settings: which figure decides, and when it is better.
        path: of the file.
        names: of the parameters that train.
        measure: what the figure is measured on, by the setting that says it; called when a
            checkpoint is written or read.

    Attributes:
        value: the best figure so far; None before the first.
        step: of it.
        waiting: validations since.
    """

    def __init__(
        self,
        settings: ValidationConfig,
        path: Path,
        names: list[str],
        measure: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self.settings, self.path, self.names, self.measure = settings, path, names, measure
        self.value: float | None = None
        self.step = 0
        self.waiting = 0

    @property
    def is_exhausted(self) -> bool:
        """Return True if the run's patience is at its end."""
        return self.settings.patience is not None and self.waiting >= self.settings.patience

    def reason_to_stop(self) -> str:
        """Why the run's patience is at its end."""
        name, times = self.settings.monitor, f"for {self.waiting} validations"
        if self.value is None:
            return f"{name} was no finite number {times}"
        return f"no better {name} than {self.value:.4g}, of step {self.step}, {times}"

    def take(self, figures: Mapping[str, float], step: int, model: nn.Module) -> None:
        """Compare a validation's figures, and write the weights if they are the best."""
        value = figures.get(self.settings.monitor)
        if value is None:
            names = ", ".join(figures) or "none"
            _LOG.warning(
                "validation.monitor=%s is no figure of this validation; there are: %s",
                self.settings.monitor,
                names,
            )
            return
        if not math.isfinite(value):
            text = "validation.monitor=%s is %s at step %d, which is never the best"
            _LOG.warning(text, self.settings.monitor, value, step)
        if not self._is_better(value):
            self.waiting += 1
            return
        self._write(model, step, value)
        self.value, self.step, self.waiting = value, step, 0

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.value is None:
            return True
        sign = 1.0 if self.settings.mode == "max" else -1.0
        return sign * (value - self.value) > self.settings.min_delta

    def _write(self, model: nn.Module, step: int, value: float) -> None:
        weights = dict(model.named_parameters())
        # Every process takes part: weights in pieces (FSDP2) are put together.
        state = {f"model.{n}": full_tensor(weights[n].detach()) for n in self.names}
        if collectives.rank() != 0:
            return
        record = {
            "state_dict": state,
            "buffers": trained_buffers(model),
            "global_step": step,
            "monitor": self.settings.monitor,
            "processes": collectives.world_size(),
        }
        with replacing(self.path) as temporary:
            torch.save({**record, "value": value}, temporary)
            seal(temporary)

    @torch.no_grad()
    def restore(self, model: nn.Module) -> None:
        """Give the model the best weights, if there are any.

        Raises:
            DamagedError: if the file is damaged.
        """
        if self.value is None:
            return
        content = read_checkpoint(self.path)
        load_buffers(model, content.get("buffers", {}))
        state: dict[str, Tensor] = content["state_dict"]
        weights = dict(model.named_parameters())
        for name in self.names:
            weights[name].copy_(distribute_like(state[f"model.{name}"], weights[name]))

    def state_dict(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {
            "value": self.value,
            "step": self.step,
            "waiting": self.waiting,
            "decides": self._decides,
            "measure": self.measure(),
        }

    @property
    def _decides(self) -> str:
        """The figure that decides, and when it is better."""
        return f"{self.settings.monitor}, {self.settings.mode or 'min'}"

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; another figure than decided until then begins anew, and so does
        the same of other data.
        """
        before = state.get("decides", self._decides)  # older ones don't tell
        if before != self._decides:
            self._begin_anew(
                "validation: the best weights until step %d were those by %s; from now on they "
                "are those by %s",
                *(state["step"], before, self._decides),
            )
            return
        now = self.measure()
        measure = state.get("measure", now)
        if changed := [n for n in {**measure, **now} if measure.get(n) != now.get(n)]:
            names = " and ".join(f"validation.{name}" for name in changed)
            self._begin_anew(
                "validation: %s changed, so %s is no longer comparable; the best weights until "
                "step %d begin anew",
                *(names, self.settings.monitor, state["step"]),
            )
            return
        self.value, self.step, self.waiting = state["value"], state["step"], state["waiting"]

    def _begin_anew(self, text: str, *values: object) -> None:
        if collectives.rank() == 0:
            _LOG.warning(text, *values)
