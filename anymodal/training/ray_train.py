"""Train on a Ray cluster: as many processes as asked for, wherever the cluster has room."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anymodal.config import ConfigError
from anymodal.training.run import FINISHED, read_run, train


def train_on_ray(
    path: str | Path, overrides: Iterable[str] = (), *, workers: int, failures: int = 3
) -> Path | None:
    """Train as a configuration says in processes that Ray Train starts, each on a GPU of its own.

    Configuration, data and `out` must lie where all nodes find them. A worker or node that fails
    has all of them start again, which go on from the last checkpoint.

    Args:
        path: the training configuration; where its accelerator is "cpu", no GPUs are asked for.
        overrides: `key=value` changes to it.
        workers: processes.
        failures: how often to start again.

    Returns:
        The finished model's folder, or None if the run was stopped.

    Raises:
        ConfigError: if Ray isn't installed.
    """
    run = read_run(path, overrides)
    try:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
    except ImportError as error:
        raise ConfigError(
            "training on Ray needs Ray: pip install 'anymodal[ray]', or use torchrun"
        ) from error
    out = Path(run.output_dir).absolute()
    trainer = TorchTrainer(
        run_worker,
        train_loop_config={
            "path": str(Path(path).absolute()),
            "overrides": list(overrides),
            "folder": os.getcwd(),
        },
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=run.trainer.get("accelerator") != "cpu"
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(out),
            failure_config=FailureConfig(max_failures=failures),
        ),
    )
    trainer.fit()
    model_folder = out / FINISHED
    return model_folder if model_folder.exists() else None


def run_worker(settings: dict[str, Any]) -> None:
    """Train in one of Ray's workers, which have the environment that torchrun would give them."""
    os.chdir(settings["folder"])  # what the configuration names is relative to where it was given
    os.environ["GROUP_RANK"] = os.environ.get("NODE_RANK", "0")
    train(settings["path"], settings["overrides"])
