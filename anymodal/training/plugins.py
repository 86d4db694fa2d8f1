"""Loggers, callbacks and optimizers of a user's own."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import lightning as L
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch.optim import Optimizer

from anymodal import config as configuration
from anymodal.config import ConfigError, shorten
from anymodal.training.configuration import Run
from anymodal.training.report.history import History

PluginT = TypeVar("PluginT")

PLUGIN_PACKAGES = ("lightning.pytorch.callbacks", "lightning.pytorch.loggers", "torch.optim")
"""Packages of what may be added that need no `trusted_packages`."""
PROVIDED = {L.Callback: (), Logger: (), Optimizer: ("params", "lr")}
"""By base, the arguments that a run fills in."""
INSTEAD = ("lr", "weight_decay")
"""Arguments of optimizers that are settings of a run."""

_AVERAGES = "and a run averages its weights itself; give ema"
RIVALS: Mapping[type, str] = {
    lightning_callbacks.BatchSizeFinder: "and a run's batches are its own; give batch_size, for "
    "which `anymodal plan` tells the memory",
    lightning_callbacks.EarlyStopping: "which waits for ends of epochs, and a run has none; give "
    "validation.monitor and validation.patience",
    lightning_callbacks.EMAWeightAveraging: _AVERAGES,
    lightning_callbacks.GradientAccumulationScheduler: "and a run accumulates itself; give "
    "accumulate_grad_batches",
    lightning_callbacks.LearningRateFinder: "and a run's rates are its own; try them by "
    "`anymodal train --find-rate`",
    lightning_callbacks.StochasticWeightAveraging: _AVERAGES,
    lightning_callbacks.Timer: "which ends a run for good; give trainer.max_time",
    lightning_callbacks.WeightAveraging: _AVERAGES,
}
"""Lightning's callbacks that do nothing in a run, or meddle with it, and what to do instead.

Classes derived from them may do otherwise, so they are taken."""

EXTRAS = {"WandbLogger": "wandb", "MLFlowLogger": "mlflow"}
"""Lightning's loggers that need a package of their own, which is also the extra's name."""


@runtime_checkable
class Samples(Protocol):
    """Data: samples by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def check(run: Run) -> None:
    """Check what is named beside a run's model and data, building nothing.

    Raises:
        ConfigError: for a class of another base, or arguments that don't fit it.
    """
    for node in run.callbacks:
        _check(node, L.Callback, "callbacks", run)
    for node in run.loggers or ():
        _check(node, Logger, "loggers", run)
    if run.optimizer.algorithm is not None:
        _check(run.optimizer.algorithm, Optimizer, "optimizer.algorithm", run)


def _check(node: object, base: type, place: str, run: Run) -> None:
    """Check a part of a base before it is built."""
    if not (isinstance(node, dict) and "_target_" in node):
        raise ConfigError(
            f"{place} must be of class {base.__name__}, as {{_target_: …}}, not {shorten(node)}"
        )
    trusted_packages = [*run.trusted, *PLUGIN_PACKAGES]
    arguments = PROVIDED[base]
    configuration.validate_node(
        node, trusted_packages=trusted_packages, place=place, base=base, provided=arguments
    )
    target = configuration.resolve_target(node["_target_"], trusted_packages)
    if base is Optimizer:
        _check_arguments(node, target, place)
    _refuse_rivals(target, place)
    if base is Logger and node.get("log_model"):
        raise ConfigError(
            f"{place}: log_model uploads what a callback of Lightning's saves, and a run saves "
            "itself; take it out, and share a model by `anymodal push`"
        )
    _require_package(target, place)


def check_object(value: object, base: type[PluginT], place: str) -> PluginT:
    """An object of a base.

    Raises:
        ConfigError: for one of another.
    """
    if not isinstance(value, base):
        raise ConfigError(f"{place} must be of class {base.__name__}, not {type(value).__name__}")
    _refuse_rivals(type(value), place)
    return value


def _refuse_rivals(kind: object, place: str) -> None:
    """Refuse what does a thing that the run does itself, with the setting to give instead."""
    if isinstance(kind, type) and issubclass(kind, Checkpoint):
        raise ConfigError(f"{place} names {kind.__name__}, and a run saves itself; give save_every")
    instead = RIVALS.get(cast(type, kind))
    if instead is not None:
        raise ConfigError(f"{place} names {cast(type, kind).__name__}, {instead}")


def _check_arguments(node: Mapping[str, Any], kind: object, place: str) -> None:
    """Refuse what a run gives an optimizer, and one with more or fewer values than its default."""
    for name in ("params", *INSTEAD):
        if name in node:
            hint = f" and give optimizer.{name}" if name in INSTEAD else ""
            raise ConfigError(f"{place} is given {name!r} by the run; take it out{hint}")
    parameters = inspect.signature(cast(type, kind)).parameters
    for name, value in node.items():
        default = parameters[name].default if name in parameters else None
        if isinstance(default, tuple) and isinstance(value, list) and len(value) != len(default):
            raise ConfigError(
                f"{place}.{name} must be {len(default)} values, as {list(default)}, not "
                f"{shorten(value)}"
            )


def _require_package(kind: object, place: str) -> None:
    """Refuse a logger whose own package isn't installed, before anything is built."""
    name = getattr(kind, "__name__", "")
    package = EXTRAS.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"{place} names {name}, which needs the package {package}; pip install "
            f"'anymodal[{package}]'"
        )


def callbacks(run: Run, more: Iterable[L.Callback] = ()) -> list[L.Callback]:
    """The callbacks that a run names, and those given to it."""
    return [_build(node, L.Callback, "callbacks", run) for node in [*run.callbacks, *more]]


def loggers(run: Run, out: Path, more: Iterable[Logger] | bool = ()) -> list[Logger] | bool:
    """A run's own loggers, those that it names and those given to it; none where one is false."""
    if run.loggers is False or more is False:
        return False
    nodes = [*run.loggers, *(() if isinstance(more, bool) else more)]
    # A resumed run's CSV goes into the next folder: the logger empties one that it finds.
    own = [
        TensorBoardLogger(out, "logs", ""),
        CSVLogger(out, "logs"),
        History(out / "history.jsonl"),
    ]
    return [*own, *(_build(node, Logger, "loggers", run) for node in nodes)]  # type: ignore[type-abstract]


def _build(node: object, base: type[PluginT], place: str, run: Run) -> PluginT:
    try:
        value = configuration.instantiate(node, trusted_packages=[*run.trusted, *PLUGIN_PACKAGES])
    except ImportError as error:  # such as of a package that Lightning's logger needs
        assert isinstance(node, Mapping), "an object imports nothing more"
        raise ConfigError(f"{place} ({node['_target_']}) can't be built: {error}") from error
    return check_object(value, base, place)
