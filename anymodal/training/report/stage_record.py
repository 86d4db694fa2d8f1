"""A run as one of the stages that its model went through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from anymodal import __version__
from anymodal.core import ComposedModel
from anymodal.distributed import collectives
from anymodal.io.sources import REPOSITORY
from anymodal.io.training_records import StageRecord
from anymodal.training.configuration import Run
from anymodal.training.report.history import read_history

PREFIX = "validation/"


def add_stage(
    model: nn.Module,
    run: Run,
    step: int,
    figures_step: int | None = None,
    num_processes: int | None = None,
) -> None:
    """Note a run in the records of its model, if it is a composed one.

    Args:
        model: that was trained.
        run: which has trained it.
        step: up to which.
        figures_step: of the validation that its weights had, if it wasn't the last one.
        num_processes: that trained together; None for those of now.
    """
    if not isinstance(model, ComposedModel):
        return
    record: StageRecord = {
        "stage": Path(run.output_dir).name,
        "trainable": list(run.stage.trainable),
        "losses": {name: _weight(node) for name, node in run.stage.losses.items()},
        "data": list(dict.fromkeys(data_names(run.data))),
        "step": step,
        "batch_size": run.batch_size
        * run.accumulate_grad_batches
        * (num_processes or collectives.world_size()),
        "figures": _figures(run, step if figures_step is None else figures_step),
        "anymodal": __version__,
    }
    model.training_records = [*model.training_records, record]


def data_names(node: object) -> Iterator[str]:
    """The names of a run's data sets; of files the last part, since paths tell of a machine."""
    if not isinstance(node, Mapping):
        return
    path, several = node.get("path"), node.get("datasets")
    if isinstance(path, str):
        is_name = REPOSITORY.fullmatch(path) and not Path(path).exists()
        yield path if is_name else Path(path).name
    elif isinstance(several, Mapping | list):
        for each in several.values() if isinstance(several, Mapping) else several:
            yield from data_names(each)
    else:
        yield str(node.get("_target_") or node.get("_part_") or "").rpartition(".")[2]


def _weight(node: Any) -> float:
    value = node.get("weight", 1.0) if isinstance(node, Mapping) else node
    return float(value)


def _figures(run: Run, step: int) -> dict[str, float]:
    """The figures of the last validation up to a step."""
    curves = read_history(Path(run.output_dir) / "history.jsonl")
    figures = {}
    for name, values in curves.items():
        steps = [each for each in values if each <= step]
        if name.startswith(PREFIX) and steps:
            figures[name.removeprefix(PREFIX)] = values[max(steps)]
    return figures
