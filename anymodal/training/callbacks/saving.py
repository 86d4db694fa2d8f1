"""Checkpoints at regular steps."""

from __future__ import annotations

from pathlib import Path

import lightning as L


class SaveEvery(L.Callback):
    """Write a checkpoint every so many optimiser steps, and when the run stops."""

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.last = trainer.global_step  # just read, or nothing to save yet

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: object
    ) -> None:
        step = trainer.global_step
        due = step % self.every == 0 and step != self.last
        if due or trainer.should_stop or step >= trainer.max_steps:
            self.last = step
            trainer.save_checkpoint(self.path)
