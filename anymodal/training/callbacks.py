"""Callbacks: a moving average of weights, and a stop with a checkpoint on a signal."""

from __future__ import annotations

import signal
import threading
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
        self.seen_step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any
    ) -> None:
        if trainer.global_step == self.seen_step:
            return
        self.seen_step = trainer.global_step
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

    def state_dict(self) -> dict[str, Any]:
        average = {name: full_tensor(value) for name, value in self.average.items()}
        return {"average": average, "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.average, self.updates = state_dict["average"], state_dict["updates"]


class StopAndSave(L.Callback):
    """On Ctrl-C or SIGTERM, finish the step under way, save, and end.

    Attributes:
        asked: whether this process got a signal.
        agreed: whether any process had, as all learned at the end of the last step; the module
            that trains sets it.
        stopped: whether it ended the run.
    """

    def __init__(self) -> None:
        self.asked = self.agreed = self.stopped = False
        self.previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Not in `setup`: Lightning's own handler, set after that, ends the run before it is saved.
        if threading.current_thread() is threading.main_thread():  # it isn't in a worker of Ray's
            numbers = (signal.SIGINT, signal.SIGTERM)
            self.previous = {number: signal.signal(number, self._ask) for number in numbers}

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: stop at once
        self.asked = True

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any
    ) -> None:
        if self.agreed and trainer.fit_loop.epoch_loop._accumulated_batches_reached():
            self.stopped = trainer.should_stop = True  # gradients aren't saved, so between steps
