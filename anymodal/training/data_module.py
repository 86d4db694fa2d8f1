"""A run's batches as a LightningDataModule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning as L

from anymodal.config import ConfigError
from anymodal.data.workers import num_workers
from anymodal.training.batches import Batches
from anymodal.training.configuration import Run
from anymodal.training.left_out import LEFT_OUT
from anymodal.training.loader import MicroBatch, StepLoader
from anymodal.training.module import StageModule
from anymodal.training.objectives import Objective


class RunData(L.LightningDataModule):
    """The batches of a run, which go on where a checkpoint of its module was written.

    Args:
        data: samples by index.
        module: trains on them.
    """

    def __init__(self, data: Sequence[Any], module: StageModule) -> None:
        super().__init__()
        self.data, self.module = data, module
        self.batches = run_batches(module.run, module.objective, data)
        module.progress.samples_of = self.batches.indices
        module.step.sources = tuple(getattr(data, "sources", ()))

    def train_dataloader(self) -> Iterable[MicroBatch]:
        """Endless batches of this process.

        Raises:
            ConfigError: if the trainer accumulates over other numbers of batches than the run.
        """
        trainer, run = self.trainer, self.module.run
        assert trainer is not None, "a trainer asks for them"
        size = run.accumulate_grad_batches
        if trainer.accumulate_grad_batches != size:
            raise ConfigError(
                f"the trainer accumulates {trainer.accumulate_grad_batches} batches and the module "
                f"{size}; give both the same accumulate_grad_batches"
            )
        processes, rank = trainer.world_size, trainer.global_rank
        batches, progress = self.batches, self.module.progress
        batches.every, batches.step_batches = processes, processes * size
        # Called when iteration begins, by when the checkpoint's progress is loaded.
        batches.start = lambda: progress.batches * processes + rank
        steps = StepLoader(
            batches,
            self.module.objective,
            num_workers(run.workers, self.data, trainer.num_devices),
            size,
            trainer.precision_plugin.forward_context,
        )
        return self.module.throughput.timed(steps)


def run_batches(run: Run, objective: Objective[Any, Any], data: Sequence[Any]) -> Batches:
    """The batches that a run of one process draws."""
    return Batches(
        data,
        objective.collate,
        run.batch_size,
        run.seed,
        length_group_batches=run.length_group_batches,
        step_batches=run.accumulate_grad_batches,
        left_out=Path(run.output_dir) / LEFT_OUT,
    )
