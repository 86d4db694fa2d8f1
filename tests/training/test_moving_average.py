"""The moving average of weights."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
import torch
from torch import nn

from anymodal.training.callbacks import MovingAverage
from anymodal.training.run import fit, read_run
from tests.support.runs import TOY, last, write


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_the_average_is_of_weights_of_any_type(tmp_path: Path, precision: str) -> None:
    _, module = fit(read_run(write(tmp_path, ema=0.9, precision=precision, data=TOY["data"])))
    average = last(tmp_path / "run")["callbacks"]["MovingAverage"]["average"]
    kind = torch.float64 if precision == "64-true" else torch.float32
    assert {value.dtype for value in average.values()} == {kind}
    weight = module.model.layer.weight
    assert torch.equal(weight, average["model.layer.weight"].to(weight.dtype))


def test_the_average_warms_up() -> None:
    average = MovingAverage(0.9)
    module = L.LightningModule()
    module.weight = nn.Parameter(torch.zeros(1))
    trainer = type("T", (), {"global_step": 0})()
    average.on_train_start(trainer, module)
    expected = 0.0
    for step in range(1, 5):
        with torch.no_grad():
            module.weight.fill_(step)
        trainer.global_step = step
        average.on_train_batch_end(trainer, module)
        average.on_train_batch_end(trainer, module)  # between steps: nothing
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    average.apply(module)
    assert module.weight.item() == pytest.approx(expected)
