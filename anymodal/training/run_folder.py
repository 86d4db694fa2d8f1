"""Models of a run's checkpoints, while it trains, after it was stopped, or its best."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anymodal.composition import placement
from anymodal.composition.folders import RUN_FILE, is_run
from anymodal.config import ConfigError
from anymodal.io.checkpoint import CONFIG
from anymodal.model import AnyModal
from anymodal.training.building import build_objective
from anymodal.training.checkpoints import AtomicCheckpointIO, read_checkpoint, resumable
from anymodal.training.objectives import Objective
from anymodal.training.precision import cast_weights
from anymodal.training.report.stage_record import add_stage
from anymodal.training.run import FINISHED, read_run, restored_best
from anymodal.training.trainable import freeze_all_but, load_buffers
from anymodal.training.validation.best import BEST

LAST = "last.ckpt"


def checkpoint_of(path: str | Path) -> Path | None:
    """The checkpoint that a path means: itself, or a run folder's last; None for anything else.

    Args:
        path: of a checkpoint in a run's folder, or of the folder.
    """
    path = Path(path)
    if path.suffix == ".ckpt" and (path.parent.parent / RUN_FILE).is_file():
        return path
    return path / "checkpoints" / LAST if (path / RUN_FILE).is_file() else None


def is_finished(path: str | Path) -> bool:
    """Return True for the folder of a run that has a finished model which chats."""
    return (Path(path) / FINISHED / CONFIG).is_file()


def open_any_model(
    path: str | Path,
    trusted_packages: Iterable[str] = (),
    *,
    dtype: str | None = None,
    device: str | None = None,
) -> AnyModal:
    """The model that a path or a name means, of whatever kind.

    Args:
        path: a model's folder, a shipped model's name or the hub's, a run's folder, or a checkpoint
            in one.
        trusted_packages: packages beside AnyModal whose classes it may name.
        dtype: the weights' precision; None for that of the files.
        device: where it computes; `auto` is a GPU where there is one, None the CPU.

    Raises:
        ConfigError: see `open_run_model`.
        CheckpointError: see `AnyModal.from_pretrained`.
        ValueError: for a precision or a device that there isn't.
    """
    if not is_run(path):
        trusted = tuple(trusted_packages)
        return AnyModal.from_pretrained(path, trusted_packages=trusted, dtype=dtype, device=device)
    dtypes, places = placement.parse_dtypes(dtype), placement.parse_devices(device, None)
    model = open_run_model(path, trusted_packages)
    placement.place(model, dtypes, places)
    return model


def open_run_model(path: str | Path, trusted_packages: Iterable[str] = ()) -> AnyModal:
    """The model of a run: the finished one, or as it is in a checkpoint.

    Args:
        path: a run's folder, or a checkpoint in it such as `checkpoints/best.ckpt`.
        trusted_packages: packages beside AnyModal whose classes the run may name; what its own
            folder says of them doesn't count, since it may be a stranger's.

    Raises:
        ConfigError: if there is no checkpoint yet, it doesn't fit, or the run trains no such model.
    """
    finished = Path(path) / FINISHED
    if finished.is_dir() and not is_finished(path):
        raise ConfigError(
            f"{finished} is no model that chats; open it by its own class, or export it"
        )
    if finished.is_dir():
        return AnyModal.from_pretrained(finished, trusted_packages=tuple(trusted_packages))
    model = open_run(path, trusted_packages).model
    if not isinstance(model, AnyModal):
        raise ConfigError(f"{path} trains a {type(model).__name__}, which doesn't chat; export it")
    model.name = Path(path).absolute().name
    return model


def open_run(path: str | Path, trusted_packages: Iterable[str] = ()) -> Objective[Any, Any]:
    """A run's objective, whose model has the weights of a checkpoint; see `open_run_model`.

    With a moving average the weights are the averaged ones, as a finished model's are; of the
    folder of a run that finished with `restore_best` they are the best.
    """
    checkpoint = checkpoint_of(path)
    if checkpoint is None:
        raise ConfigError(f"{path} is no run's folder, which has a {RUN_FILE}, nor a checkpoint in")
    folder, trusted = checkpoint.parent.parent, json.dumps([*trusted_packages])
    # Its loggers and callbacks have no part in its model, and may be missing here.
    overrides = [f"trusted_packages={trusted}", "loggers=[]", "callbacks=[]"]
    run = read_run(folder / RUN_FILE, overrides)
    run.output_dir = str(folder)  # it may have been moved
    if checkpoint != Path(path) and (folder / FINISHED).is_dir():
        checkpoint = restored_best(run) or checkpoint
    content = _content(checkpoint)  # before the model, which may take minutes
    objective = build_objective(run, None)[0]
    names = freeze_all_but(objective.model, run.stage.trainable)
    cast_weights(objective.model, run.precision)
    weights = dict(objective.model.named_parameters())
    state = _weights(content)
    if set(names) != set(state):
        differing = sorted(set(names) ^ set(state))[:5]
        raise ConfigError(
            f"{checkpoint} holds other parameters than its run trains, such as {differing}; was "
            f"{RUN_FILE} changed?"
        )
    with torch.no_grad():
        for name in names:
            weights[name].copy_(state[name])
    load_buffers(objective.model, content.get("buffers", {}))
    objective.model.eval()
    step, processes = int(content["global_step"]), int(content.get("processes", 1))
    add_stage(objective.model, run, step, num_processes=processes)
    return objective


def _content(checkpoint: Path) -> dict[str, Any]:
    """The content of a checkpoint.

    Raises:
        ConfigError: if there is none.
    """
    if checkpoint.name == BEST:
        if not checkpoint.is_file():
            raise ConfigError(f"there is no {checkpoint}; it comes with a run's validation")
        return read_checkpoint(checkpoint)
    if resumable(checkpoint) is None:
        raise ConfigError(
            f"there is no {checkpoint} yet; the run writes one every `save_every` steps"
        )
    return AtomicCheckpointIO().load_checkpoint(checkpoint)


def _weights(content: dict[str, Any]) -> dict[str, Tensor]:
    """A checkpoint's weights by their names in the model, averaged where there is an average."""
    average = content.get("callbacks", {}).get("MovingAverage", {}).get("average", {})
    state: dict[str, Tensor] = content["state_dict"]
    return {name.removeprefix("model."): average.get(name, v) for name, v in state.items()}
