"""A stop with a checkpoint, on a signal or when the time is up."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Timer

from anymodal.config import ConfigError, shorten

Duration = str | timedelta | dict[str, int] | None
"""As of Lightning's `max_time`: `DD:HH:MM:SS`, or the arguments of a `timedelta`."""

Handler = Callable[[int, FrameType | None], object] | int | None


class StopAndSave(L.Callback):
    """On Ctrl-C or SIGTERM, or when the time is up, finish the step under way, save, and end.

    Args:
        max_time: of a session, from its first step on; a run that goes on has as long again.

    Attributes:
        has_signal: whether this process got a signal.
        any_stop: whether any process was to stop, as all learned at the end of the last step; the
            module that trains sets it.
        ended_run: whether it ended the run.

    Raises:
        ConfigError: for a time that is none.
    """

    def __init__(self, max_time: Duration = None) -> None:
        self.has_signal = self.any_stop = self.ended_run = False
        self.previous: dict[int, Handler] = {}
        self.max_seconds = seconds_of(max_time)
        self.start = time.monotonic()

    @property
    def is_time_up(self) -> bool:
        """Return True once this process has trained for as long as it may."""
        return self.max_seconds is not None and time.monotonic() - self.start >= self.max_seconds

    @property
    def is_due(self) -> bool:
        """Return True if this process is to stop after the step under way."""
        return self.has_signal or self.is_time_up

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start = time.monotonic()
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
        if self.any_stop and trainer.fit_loop.epoch_loop._accumulated_batches_reached():
            self.ended_run = trainer.should_stop = True  # gradients aren't saved, so between steps


def seconds_of(max_time: Duration) -> float | None:
    """The seconds of a time as Lightning's `max_time` has it.

    Raises:
        ConfigError: for anything else, or no time at all.
    """
    told = f"trainer.max_time is {shorten(max_time)}; give DD:HH:MM:SS, as 00:08:00:00"
    try:
        seconds = Timer(max_time).time_remaining()
    except (AttributeError, MisconfigurationException, TypeError) as error:
        raise ConfigError(told) from error
    if seconds is not None and seconds <= 0:
        raise ConfigError(f"{told}, or null for no end")
    return seconds
