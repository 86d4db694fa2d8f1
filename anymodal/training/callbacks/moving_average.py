"""A moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch

from anymodal.training.strategies import distribute_like, full_tensor


class MovingAverage(L.Callback):
    """Exponential moving average of what trains; it becomes the model when training ends.

    The decay warms up as min(decay, (1 + n) / (10 + n)), so that short runs forget their start.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, torch.Tensor] = {}
        self.updates = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for name, parameter in pl_module.named_parameters():
            if parameter.requires_grad and name not in self.average:
                # At least float32: what one step adds is below half precision's last bit.
                kind = torch.promote_types(parameter.dtype, torch.float32)
                self.average[name] = parameter.detach().to(kind, copy=True)
        weights = dict(pl_module.named_parameters())
        self.average = {
            n: distribute_like(v, weights[n]).to(pl_module.device) for n, v in self.average.items()
        }
        self.last_step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: object
    ) -> None:
        if trainer.global_step == self.last_step:
            return
        self.last_step = trainer.global_step
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in pl_module.named_parameters():
            if name in self.average:
                average = self.average[name]
                average.lerp_(parameter.detach().to(average.dtype), 1 - decay)

    @torch.no_grad()
    def apply(self, module: L.LightningModule) -> None:
        """Write the average into the module."""
        for name, parameter in module.named_parameters():
            if name in self.average:
                parameter.copy_(self.average[name])

    @contextmanager
    def applied(self, module: L.LightningModule) -> Iterator[None]:
        """Within it the module has the average's weights; afterwards its own, to the bit."""
        weights = {n: p for n, p in module.named_parameters() if n in self.average}
        own = {name: parameter.detach().clone() for name, parameter in weights.items()}
        self.apply(module)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in weights.items():
                    parameter.copy_(own[name])

    def state_dict(self) -> dict[str, Any]:
        average = {name: full_tensor(value) for name, value in self.average.items()}
        return {"average": average, "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.average, self.updates = state_dict["average"], state_dict["updates"]
