"""Accumulated batches have the gradient of one large batch, and the host waits once a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.training.building import build
from anymodal.training.module import StageModule
from anymodal.training.run import fit, read_run
from anymodal.training.steps import sum_counts
from tests.support import composed
from tests.support.host_reads import host_reads
from tests.support.runs import read_log, stages, write

TALKS = {"_target_": "tests.distributed.test_processes.uneven_talks"}
TRAINABLE = ["projection.*", "heads.*", "language.model.*", "language.rows"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return composed.write_model(tmp_path_factory.mktemp("parts"))


def dialogue(parts: Path, losses: dict[str, Any]) -> dict[str, Any]:
    model = {"_target_": "anymodal.AnyModal.compose", "config": str(parts)}
    return {"model": model, "data": TALKS, "stage": {"trainable": TRAINABLE, "losses": losses}}


def gradients(folder: Path, name: str, **run: Any) -> dict[str, torch.Tensor]:
    """What one step leaves behind."""
    config = write(folder, name, **{**run, "steps": 1, "optimizer": {"max_grad_norm": 1e9}})
    _, module = fit(read_run(config))
    named = module.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


@pytest.mark.parametrize(
    ("losses", "packed"),
    [
        ({"text": 1}, False),
        ({"align": 1}, True),
        ({"text": 1, "align": {"weight": 0.3, "kind": "l2"}}, True),
    ],
    ids=["text", "align packed", "both packed"],
)
def test_accumulated_batches_have_the_gradient_of_one(
    parts: Path, tmp_path: Path, losses: dict[str, Any], packed: bool
) -> None:
    """Of conversations of many lengths, most of which have no media or none to be made."""
    run = {**dialogue(parts, losses), "packed": packed}
    whole = gradients(tmp_path, "whole", **run, batch_size=8)
    assert len(whole) > 10
    for size in (2, 1):
        name = f"in-{size}"
        cut = gradients(tmp_path, name, **run, batch_size=size, accumulate_grad_batches=8 // size)
        assert cut.keys() == whole.keys()
        for key, value in whole.items():
            torch.testing.assert_close(cut[key], value, rtol=1e-3, atol=1e-6)
        assert read_log(tmp_path / name) == pytest.approx(read_log(tmp_path / "whole"), rel=1e-4)


def test_batches_of_the_language_model_weigh_by_their_words(parts: Path, tmp_path: Path) -> None:
    run = stages(parts, tmp_path)["language"]
    whole = gradients(tmp_path, "whole", **run, batch_size=4)
    cut = gradients(tmp_path, "cut", **run, batch_size=1, accumulate_grad_batches=4)
    for key, value in whole.items():
        torch.testing.assert_close(cut[key], value, rtol=1e-3, atol=1e-6)


def test_the_counts_of_a_step_are_those_of_its_batches(parts: Path, tmp_path: Path) -> None:
    run = read_run(write(tmp_path, **dialogue(parts, {"text": 1, "align": 1, "denoise": 1})))
    objective, data = build(run)
    StageModule(objective, run)
    batches = [objective.collate([data[index]]) for index in range(len(data))]
    counts = list(map(objective.counts, batches))
    assert {frozenset(each["align"]) for each in counts} == {frozenset({"image", "audio"})}
    assert len({each["text"][""] for each in counts}) > 2, "uneven, or tests show nothing"
    whole = objective.counts(objective.collate([data[index] for index in range(len(data))]))
    assert sum_counts(counts) == whole
    for batch, each in zip(batches, counts, strict=True):
        for name, losses in objective(batch).items():
            for value, over, part, *_ in losses:
                assert over == each[name][part] and (value is not None or not over)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("accumulate_grad_batches", [1, 3])
def test_the_host_waits_once_a_step(
    parts: Path,
    tmp_path: Path,
    accumulate_grad_batches: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once what frozen parts give is cached; before, results go to the processor's memory."""
    run = dialogue(parts, {"text": 1, "align": 1})
    # A worker collates, which counts on the processor; it would be noted here.
    settings = {"batch_size": 4, "steps": 8, "log_every": 100, "save_every": 100, "workers": 1}
    trainer = {"accelerator": "cpu", "enable_progress_bar": False}
    seen: list[list[str]] = []
    begin, end = StageModule.on_train_batch_start, StageModule.on_before_optimizer_step

    with host_reads(monkeypatch) as reads:

        def started(module: StageModule, batch: Any, index: int) -> Any:
            if batch.first:
                reads.clear()
            return begin(module, batch, index)

        def ended(module: StageModule, optimizer: torch.optim.Optimizer) -> None:
            end(module, optimizer)
            seen.append(list(reads))

        monkeypatch.setattr(StageModule, "on_train_batch_start", started)
        monkeypatch.setattr(StageModule, "on_before_optimizer_step", ended)
        more = {**run, **settings, "accumulate_grad_batches": accumulate_grad_batches}
        fit(read_run(write(tmp_path, **more, trainer=trainer)))
    assert len(seen) == 8
    for step in seen[4:]:
        assert [read.rpartition("/")[2] for read in step] == ["steps.py:end (tolist)"]
