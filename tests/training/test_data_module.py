"""The module and the data of a run in a Trainer of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from anymodal.config import ConfigError
from anymodal.training.data_module import RunData
from anymodal.training.module import StageModule
from anymodal.training.run import run_of
from tests.support.composed import Numbers, Regression, Toy
from tests.support.runs import assert_same

STEPS = 6


def fit(folder: Path, until: int, checkpoint: Path | None = None, **changes: Any) -> StageModule:
    settings = {"batch_size": 3, "log_every": 1, "accumulate_grad_batches": 2, **changes}
    run = run_of({"square": 1.0}, STEPS, ["layer.*"], output_dir=str(folder), **settings)
    L.seed_everything(0, verbose=False)
    module = StageModule(Regression(Toy()), run)
    trainer = L.Trainer(
        max_steps=until,
        max_epochs=-1,
        accelerator="cpu",
        accumulate_grad_batches=2,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        callbacks=[ModelCheckpoint(folder, "{step}", every_n_train_steps=2, save_top_k=-1)],
        logger=CSVLogger(folder, "logs"),
    )
    trainer.fit(module, datamodule=RunData(Numbers(20, drawing=True), module), ckpt_path=checkpoint)
    return module


def test_a_trainer_of_ones_own_goes_on_to_the_bit(tmp_path: Path) -> None:
    straight = fit(tmp_path / "straight", STEPS)
    fit(tmp_path / "cut", 2)
    resumed = fit(tmp_path / "cut", STEPS, tmp_path / "cut" / "step=2.ckpt")
    assert_same(straight.model.state_dict(), resumed.model.state_dict())
    rows = (tmp_path / "straight" / "logs" / "version_0" / "metrics.csv").read_text().splitlines()
    assert {"loss", "lr", "gradient_norm", "data_wait"} <= set(rows[0].split(","))
    assert len(rows) == 1 + STEPS


def test_a_trainer_that_accumulates_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the trainer accumulates 2 batches and the module 1"):
        fit(tmp_path, 2, accumulate_grad_batches=1)
