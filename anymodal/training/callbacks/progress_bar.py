"""The progress bar of a run at a terminal."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar


class StepProgressBar(TQDMProgressBar):
    """Shows a run's steps out of all of them, those of earlier sessions included.

    Lightning's own counts batches, of which data without an end have no number, and against those
    that are left after a resumption, of which it soon has more.
    """

    @property
    def total_train_batches(self) -> int:
        """The steps of the run."""
        return int(self.trainer.max_steps)

    def on_train_start(self, trainer: L.Trainer, *args: Any) -> None:
        super().on_train_start(trainer, *args)
        self._count(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, *args: Any) -> None:  # none when resumed
        super().on_train_epoch_start(trainer, *args)
        self._count(trainer)

    def _count(self, trainer: L.Trainer) -> None:
        bar = self.train_progress_bar
        # `initial`, so that the rate and the time that is left are those of this session.
        bar.total, bar.initial, bar.n = trainer.max_steps, trainer.global_step, trainer.global_step
        bar.refresh()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, trainer.global_step - 1)
