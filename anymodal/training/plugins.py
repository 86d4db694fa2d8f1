"""Loggers, callbacks and optimizers of a user's own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import lightning as L
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
    for name in arguments:
        if name in node:
            raise ConfigError(f"{place} is given {name!r} by the run; take it out")
    target = configuration.resolve_target(node["_target_"], trusted_packages)
    _refuse_checkpoints(target, place)
    _require_package(target, place)


def check_object(value: object, base: type[PluginT], place: str) -> PluginT:
    """An object of a base.

    Raises:
        ConfigError: for one of another.
    """
    if not isinstance(value, base):
        raise ConfigError(f"{place} must be of class {base.__name__}, not {type(value).__name__}")
    _refuse_checkpoints(type(value), place)
    return value


def _refuse_checkpoints(kind: object, place: str) -> None:
    if isinstance(kind, type) and issubclass(kind, Checkpoint):
        raise ConfigError(f"{place} names {kind.__name__}, and a run saves itself; give save_every")


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
    value = configuration.instantiate(node, trusted_packages=[*run.trusted, *PLUGIN_PACKAGES])
    return check_object(value, base, place)
