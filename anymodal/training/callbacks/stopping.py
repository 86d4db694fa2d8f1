"""A stop with a checkpoint on a signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

import lightning as L

Handler = Callable[[int, FrameType | None], object] | int | None


class StopAndSave(L.Callback):
    """On Ctrl-C or SIGTERM, finish the step under way, save, and end.

    Attributes:
        has_signal: whether this process got a signal.
        any_signal: whether any process had, as all learned at the end of the last step; the module
            that trains sets it.
        ended_run: whether it ended the run.
    """

    def __init__(self) -> None:
        self.has_signal = self.any_signal = self.ended_run = False
        self.previous: dict[int, Handler] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Not in `setup`: Lightning's own handler, set after that, ends the run before it is saved.
        if threading.current_thread() is threading.main_thread():  # it isn't in a worker of Ray's
            numbers = (signal.SIGINT, signal.SIGTERM)
            self.previous = {number: signal.signal(number, self._ask) for number in numbers}

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.has_signal and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: stop at once
        self.has_signal = True

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: object
    ) -> None:
        if self.any_signal and trainer.fit_loop.epoch_loop._accumulated_batches_reached():
            self.ended_run = trainer.should_stop = True  # gradients aren't saved, so between steps
