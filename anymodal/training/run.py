"""Run one training configuration from start, or from where it stopped, to its finished model."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from anymodal import config as configuration
from anymodal.checkpoint import replacing_folder
from anymodal.training.callbacks import AtomicCheckpointIO, MovingAverage, SaveEvery, StopAndSave
from anymodal.training.data import Batches, loader
from anymodal.training.module import StageModule
from anymodal.training.stage import Run

FINISHED = "model"


def read_run(path: str | Path, overrides: Iterable[str] = ()) -> Run:
    """Load and validate a training configuration, building nothing."""
    run = Run.from_config(configuration.load(path, overrides, Run))
    for name in ("parts", "model", "data"):
        configuration.validate(getattr(run, name), allow=run.allow, place=name)
    return run


def train(path: str | Path, overrides: Iterable[str] = ()) -> Path | None:
    """Train as a configuration says; the finished model's folder, or None if it was stopped.

    A run that finished before is left alone, and one that was stopped goes on from its last
    checkpoint.
    """
    run = read_run(path, overrides)
    finished = Path(run.out) / FINISHED
    if finished.exists():
        print(f"{finished} is there already; delete it to train again")
        return finished
    print(f"training {path} -> {finished}")
    trainer, module, stop = fit(run)
    if stop.stopped and trainer.global_step < run.steps:
        print(f"stopped at step {trainer.global_step} of {run.steps}; run it again to go on")
        return None
    with replacing_folder(finished) as folder:
        module.model.save_pretrained(folder)  # type: ignore[operator]
    return finished


def fit(run: Run) -> tuple[L.Trainer, StageModule, StopAndSave]:
    """Build a run's parts and train them, from its last checkpoint if there is one."""
    L.seed_everything(run.seed, verbose=False)
    _quieten()
    parts = configuration.build_parts({"parts": run.parts}, run.allow)
    model = configuration.instantiate(run.model, parts=parts, allow=run.allow)
    data = configuration.instantiate(run.data, parts=parts, allow=run.allow)
    module = StageModule(model, run)
    batches = Batches(data, model.collate, run.batch_size, run.seed, lambda: module.batches)
    out = Path(run.out)
    last = out / "checkpoints" / "last.ckpt"
    stop = StopAndSave(last)
    average = [MovingAverage(run.ema)] if run.ema else []
    trainer = L.Trainer(
        **{
            "max_steps": run.steps,
            "max_epochs": -1,
            "accumulate_grad_batches": run.accumulate,
            "precision": run.precision,
            "callbacks": [*average, stop, SaveEvery(last, run.save_every), TQDMProgressBar(10)],
            "plugins": [AtomicCheckpointIO()],
            "logger": [TensorBoardLogger(out, "logs", ""), CSVLogger(out, "logs", "")],
            "log_every_n_steps": run.log_every,
            "enable_checkpointing": False,
            "enable_model_summary": False,
            "default_root_dir": out,
            **run.trainer,
        }
    )
    trainer.fit(module, loader(batches, run.workers), ckpt_path=last if last.exists() else None)
    for callback in average:
        callback.apply(module)
    return trainer, module, stop


def _quieten() -> None:
    """Drop the notices that say nothing to a user of this command."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (".*does not have many workers.*", ".*checkpoint directory.*", ".*num_workers.*"):
        warnings.filterwarnings("ignore", message)
    torch.set_float32_matmul_precision("high")


def summary(run: Run) -> dict[str, Any]:
    """The numbers that say how long a run is."""
    return {"steps": run.steps, "samples": run.steps * run.batch_size * run.accumulate}
