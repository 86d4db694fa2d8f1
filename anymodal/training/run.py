"""Run one training configuration from start, or from where it stopped, to its finished model."""

from __future__ import annotations

import errno
import logging
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from anymodal import config as configuration
from anymodal.config import ConfigError, shorten
from anymodal.core import ComposedModel
from anymodal.data.mixture import epoch_size
from anymodal.distributed import collectives
from anymodal.io.checkpoint import replacing_folder, sweep
from anymodal.metrics import Metric
from anymodal.training import plugins
from anymodal.training.building import build_all, held_out_of, resolve_steps
from anymodal.training.callbacks import MovingAverage, SaveEvery, StopAndSave
from anymodal.training.callbacks.progress_bar import StepProgressBar
from anymodal.training.callbacks.stopping import seconds_of
from anymodal.training.checkpoints import AtomicCheckpointIO, read_checkpoint, resumable
from anymodal.training.configuration import Run
from anymodal.training.data_module import RunData
from anymodal.training.finished_run import advice, goes_on, read_finished, rename_finished
from anymodal.training.losses import LossSettings
from anymodal.training.module import StageModule
from anymodal.training.objectives import Dialogue, Objective
from anymodal.training.plugins import Samples
from anymodal.training.precision import allow_tf32, lightning_precision, warn_of_slow_precision
from anymodal.training.regional import transform_regions
from anymodal.training.report.callback import RunReport
from anymodal.training.report.stage_record import add_stage
from anymodal.training.strategies import (
    SHARDED,
    find_unused_parameters,
    trainer_arguments,
    unsharded,
)
from anymodal.training.validation.best import BEST
from anymodal.training.validation.callback import Validation
from anymodal.training.validation.held_out import HeldOut, Sources

FINISHED = "model"

ModelT = TypeVar("ModelT", bound=ComposedModel | Objective[Any, Any])

_LOG = logging.getLogger("anymodal")


def read_run(path: str | Path, overrides: Iterable[str] = ()) -> Run:
    """Load and validate a training configuration, building nothing."""
    run = Run.from_config(configuration.load_config(path, overrides, Run))
    parts = configuration.validate_parts(run.parts, run.trusted)
    base: type | None = ComposedModel
    if run.objective is not None:
        base = None
        _check_part(run.objective, "objective", run, parts, Objective, ["model"])
    if run.objective is not None and isinstance(run.model, Mapping) and not _is_part(run.model):
        for name, node in run.model.items():
            _check_part(node, f"model.{name}", run, parts)
    else:
        _check_part(run.model, "model", run, parts, base)
    _check_part(run.data, "data", run, parts, Samples)
    if run.validation is not None:
        for name, node in run.validation.sources().items():
            place = f"validation.data.{name}" if name else "validation.data"
            _check_part(node, place, run, parts, Samples)
        for name, node in run.validation.metrics.items():
            _check_part(node, f"validation.metrics.{name}", run, parts, Metric)
    check_trainer(run)
    return run


def _is_part(node: object) -> bool:
    return isinstance(node, Mapping) and bool(node.keys() & {"_target_", "_part_"})


def _check_part(
    node: object,
    place: str,
    run: Run,
    parts: Iterable[str],
    base: type | None = None,
    provided: Iterable[str] = (),
) -> None:
    if not _is_part(node):
        raise ConfigError(f"{place} must be a part, {{_target_: …}}, not {shorten(node)}")
    configuration.validate_node(
        node, parts=parts, trusted_packages=run.trusted, place=place, base=base, provided=provided
    )


def check_trainer(run: Run) -> None:
    """Check what a run gives its trainer, building nothing."""
    plugins.check(run)
    configuration.check_arguments(L.Trainer, run.trainer, "trainer")
    seconds_of(run.trainer.get("max_time"))


def train(path: str | Path, overrides: Iterable[str] = ()) -> Path | None:
    """Train as a configuration says; the finished model's folder, or None if it was stopped.

    A run that finished before is left alone, unless it has more steps by now; then it goes on, as
    one that was stopped does, from its last checkpoint. Among several processes, the first writes.
    """
    say = rank_zero_only(_LOG.info)
    run = read_run(path, overrides)
    model_folder = Path(run.output_dir) / FINISHED
    if model_folder.exists():
        before = read_finished(run)
        if before is None or not goes_on(before, run):
            say(advice(before, run, model_folder))
            return model_folder
        if collectives.is_rank_zero():
            say(f"the model so far is now {rename_finished(model_folder, before)}")
    say(f"training {path} -> {model_folder}")
    trainer, module = fit(run)
    if _was_interrupted(trainer):
        say(_stopped(trainer, module, run))
        return None
    if trainer.global_step < run.steps:
        say(f"a callback ended it at step {trainer.global_step} of {run.steps}")
    with unsharded(module):
        if trainer.is_global_zero:
            add_stage(module.objective.model, run, trainer.global_step, _best_step(run))
            with replacing_folder(model_folder) as folder:
                module.objective.save_pretrained(folder)
        trainer.strategy.barrier()
    return model_folder


def _best_step(run: Run) -> int | None:
    """The step of the weights that a finished model has, if they aren't the last ones."""
    best = restored_best(run)
    return None if best is None else int(read_checkpoint(best)["global_step"])


def restored_best(run: Run) -> Path | None:
    """The checkpoint whose weights a finished model has, if they aren't the last ones."""
    best = Path(run.output_dir) / "checkpoints" / BEST
    if run.validation is None or not run.validation.restore_best or not best.is_file():
        return None
    # By another figure they were before the run went on with this one.
    return best if read_checkpoint(best)["monitor"] == run.validation.monitor else None


def _stopped(trainer: L.Trainer, module: StageModule, run: Run) -> str:
    """A line about a run that a signal, or the end of its time, stopped."""
    time = f"trainer.max_time={run.trainer.get('max_time')} is up: "
    why = "" if module.stopping.has_signal or not module.stopping.is_time_up else time
    return f"{why}stopped at step {trainer.global_step} of {run.steps}; run it again to go on"


def _was_interrupted(trainer: L.Trainer) -> bool:
    """Return True if a signal, or the end of its time, stopped a run before its end.

    A user's callback ends it for good.
    """
    stops = [
        each.ended_run for each in cast(Any, trainer).callbacks if isinstance(each, StopAndSave)
    ]
    return any(stops) and trainer.global_step < trainer.max_steps


def train_model(
    model: ModelT,
    data: Sequence[Any],
    *,
    losses: LossSettings,
    steps: int = 0,
    trainable: Sequence[str] = ("*",),
    output_dir: str | Path | None = None,
    validation_data: Sequence[Any] | Sources | None = None,
    callbacks: Sequence[L.Callback] = (),
    loggers: Sequence[Logger] | bool = True,
    **settings: Any,
) -> ModelT:
    """Train a model that is built already, in place, as a stage of a configuration would.

    Args:
        model: a composed model, which learns conversations, or an objective with its model.
        data: samples by index.
        losses: by name, a weight or a mapping of a loss's settings.
        steps: optimiser steps; 0 where `epochs=` among the settings says how many.
        trainable: globs over the model's parameter names.
        output_dir: folder for logs and checkpoints, from which a stopped run goes on; or None.
        validation_data: held-out samples by index, or several such by name; `validation` among
            the settings says how they are used.
        callbacks: of Lightning, beside the run's own. What they keep in checkpoints must be tensors
            and plain values.
        loggers: of Lightning, beside the run's own (TensorBoard, CSV and `history.jsonl`); False
            for none at all.
        settings: more of a `Run`, such as `batch_size=16` or `optimizer={"lr": 1e-3}`.

    Raises:
        ConfigError: for a setting, a loss or a glob that doesn't fit, with a suggestion.
        KeyboardInterrupt: if it was stopped, after the step under way.
    """
    objective = model if isinstance(model, Objective) else Dialogue(model)
    with tempfile.TemporaryDirectory() as temporary:
        out = str(output_dir or temporary)
        run = run_of(losses, steps, trainable, output_dir=out, **settings)
        if run.trainer.get("strategy") == SHARDED:
            raise ConfigError(
                f"strategy {SHARDED!r} leaves a model in pieces, and train_model trains in place; "
                "train from a configuration, or choose strategy 'ddp'"
            )
        check_trainer(run)
        plugins.check_object(data, Samples, "data")  # type: ignore[type-abstract]
        held_out = held_out_of(run, objective, validation_data)
        L.seed_everything(run.seed, verbose=False)
        trainer, module = fit_objective(objective, data, run, held_out, callbacks, loggers)
    if _was_interrupted(trainer):
        if module.stopping.has_signal:
            raise KeyboardInterrupt
        _LOG.warning("%s", _stopped(trainer, module, run))
    # Both hold only as long as the same parts stay frozen.
    objective.feature_cache = None
    objective.use_flat_rows(False)
    objective.model.eval()
    return model


def run_of(
    losses: LossSettings, steps: int, trainable: Sequence[str] = ("*",), **settings: Any
) -> Run:
    """A run of a model and data that are there already.

    Args:
        losses: by name, a weight or a mapping of a loss's settings.
        steps: optimiser steps; 0 where `epochs=` among the settings says how many.
        trainable: globs over the model's parameter names.
        settings: more of a `Run`, such as `batch_size=16`; `output_dir` is one that it needs.

    Raises:
        ConfigError: for a setting that doesn't fit, with a suggestion.
    """
    stage = {"trainable": list(trainable), "losses": dict(losses)}
    return Run.from_config(
        {**settings, "model": None, "data": None, "stage": stage, "steps": steps}
    )


def fit(run: Run) -> tuple[L.Trainer, StageModule]:
    """Build a run's parts and train them, from its last checkpoint if there is one."""
    objective, data, held_out = build_all(run)
    return fit_objective(objective, data, run, held_out)


def fit_objective(
    objective: Objective[Any, Any],
    data: Sequence[Any],
    run: Run,
    held_out: HeldOut | None,
    callbacks: Sequence[L.Callback] = (),
    loggers: Sequence[Logger] | bool = (),
) -> tuple[L.Trainer, StageModule]:
    """Train an objective on data, from the run's last checkpoint if there is one.

    Args:
        objective: with its model.
        data: samples by index.
        run: the run's settings.
        held_out: for its validation, if any.
        callbacks: of Lightning, beside the run's own.
        loggers: of Lightning, beside the run's own; False for none at all.
    """
    _quieten()
    allow_tf32()
    resolve_steps(run, epoch_size(data))
    module = StageModule(objective, run)
    batches = RunData(data, module)
    last = Path(run.output_dir) / "checkpoints" / "last.ckpt"
    average = [MovingAverage(run.ema)] if run.ema else []
    validation = (
        [Validation(run, objective, held_out, module.trainable, *average)] if held_out else []
    )
    users = [*average, *validation, *plugins.callbacks(run, callbacks)]
    # The one that saves comes after all that have a state to save.
    report = RunReport(run, data, module, *validation)
    saving = [
        module.throughput,
        module.means,
        module.gradients,
        *users,
        module.stopping,
        SaveEvery(last, run.save_every),
        report,
    ]
    trainer = _trainer(run, saving, loggers)
    find_unused_parameters(trainer.strategy)
    if trainer.is_global_zero:
        sweep(last)
    with transform_regions(
        module.model, compiled=run.compile, checkpointed=run.activation_checkpointing
    ):
        try:
            trainer.fit(module, datamodule=batches, ckpt_path=resumable(last))
        except MisconfigurationException as error:  # such as a callback's, which needs loggers
            raise ConfigError(f"trainer: {error}") from error
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            text = f"{error.strerror}; make room on the disk of {run.output_dir}, and run it again"
            raise OSError(error.errno, f"{text} to go on from its last checkpoint") from error
    for callback in average:
        callback.apply(module)
    for each in validation:
        each.finish(module)
    return trainer, module


def _trainer(
    run: Run, callbacks: Sequence[L.Callback], loggers: Sequence[Logger] | bool
) -> L.Trainer:
    out = Path(run.output_dir)
    bar = [StepProgressBar(10)] if run.trainer.get("enable_progress_bar", True) else []
    settings = {
        "enable_checkpointing": False,  # `SaveEvery` saves
        "enable_model_summary": False,
        **trainer_arguments(run.trainer, AtomicCheckpointIO()),
        "max_steps": run.steps,
        "max_time": None,  # `StopAndSave` stops
        "max_epochs": -1,  # the data are endless, and steps end a run
        "accumulate_grad_batches": run.accumulate_grad_batches,
        "precision": lightning_precision(run.precision),
        "callbacks": [*callbacks, *bar],
        "logger": plugins.loggers(run, out, loggers),
        "log_every_n_steps": run.log_every,
        "default_root_dir": out,
    }
    try:
        trainer = L.Trainer(**settings)
    except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"trainer: {error}") from error
    warn_of_slow_precision(run.precision, trainer.strategy.root_device)
    return trainer


def _quieten() -> None:
    """Drop the notices that say nothing to a user of this command."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*checkpoint directory.*",
        ".*num_workers.*",
        ".*in eval mode at the start of training.*",  # frozen parts are meant to be
        ".*training_step` returned `None`.*",  # of a batch that is skipped, which is told
        ".*LeafSpec.*",  # of Lightning to itself
        ".*overridden `transfer_batch_to_device`.*",  # by the module, as it is meant
    ):
        warnings.filterwarnings("ignore", message)
