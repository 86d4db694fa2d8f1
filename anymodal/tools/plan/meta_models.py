"""Models and training runs on torch's meta device, as configurations name them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging

from anymodal import composition
from anymodal import config as configuration
from anymodal.composition.meta_device import build_without_weights, check_meta_device
from anymodal.composition.shape import Config
from anymodal.config import ConfigError
from anymodal.model import AnyModal
from anymodal.tools.plan.earlier_runs import EarlierRuns, earlier_part
from anymodal.tools.plan.memory import Data
from anymodal.training.configuration import Run
from anymodal.training.objectives import Objective


class MetaBuilder:
    """Builds parts without weights, for `config.instantiate`.

    Args:
        earlier: what runs will leave by then, in place of folders that aren't there yet.
    """

    def __init__(self, earlier: EarlierRuns) -> None:
        self.earlier = earlier

    def __call__(self, target: Callable[..., object], arguments: Mapping[str, object]) -> object:
        part = earlier_part(self.earlier, target, arguments)
        if part is not None:
            return part
        try:
            return build_without_weights(target, arguments)
        except (RuntimeError, NotImplementedError) as error:
            name = getattr(target, "__qualname__", target)
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"{name} can't be planned: it looks at values that aren't there ({reason}); give "
                "it a classmethod 'from_pretrained' with an argument 'weights' that needs none "
                "where it is False"
            ) from error


def compose_model(
    config: Config, earlier: EarlierRuns, trusted_packages: Sequence[str] = ()
) -> AnyModal:
    """A composed model with every parameter's shape and dtype, and none of its values.

    Raises:
        ConfigError: if the configuration can't work, or a part can't be built without weights.
        OSError: if a part's folder is missing.
    """
    with _quiet():
        return AnyModal.compose(
            config, trusted_packages, weights=False, build_part=MetaBuilder(earlier)
        )


def build_run(run: Run, earlier: EarlierRuns) -> tuple[Objective[Any, Any], Data]:
    """A training run's objective, with a model without values, and its data, or why there are none.

    Raises:
        ConfigError: as for a model.
        OSError: if a part's folder is missing, such as what an earlier run has not made yet.
    """
    from anymodal.training.building import objective_of  # with lightning, for a run alone

    build = MetaBuilder(earlier)
    names = configuration.referenced_parts([run.model, run.objective, run.data], run.parts)
    with _quiet(), torch.device("meta"):
        parts = configuration.build_parts(
            {name: run.parts[name] for name in names}, run.trusted, build
        )
        model = configuration.instantiate(
            run.model, parts=parts, trusted_packages=run.trusted, build_part=build
        )
        objective = objective_of(run, model, parts, build)
    check_meta_device(objective.model, weights=False)
    data: Data
    try:
        data = configuration.instantiate(
            run.data, parts=parts, trusted_packages=run.trusted, build_part=build
        )
    except (OSError, ValueError) as error:
        data = f"its data: {error}"
    return objective, data


def held_out_data(run: Run) -> dict[str, Any] | str:
    """A run's held-out data by data set, or why there are none; empty where it doesn't validate."""
    nodes = {} if run.validation is None else run.validation.sources()
    names = configuration.referenced_parts(list(nodes.values()), run.parts)
    try:
        with _quiet():
            parts = configuration.build_parts({n: run.parts[n] for n in names}, run.trusted)
            return {
                name: configuration.instantiate(node, parts=parts, trusted_packages=run.trusted)
                for name, node in nodes.items()
            }
    except (OSError, ValueError) as error:
        return f"its data: {error}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without diffusers' warnings about networks whose weights aren't read."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def read_model(name: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration of a model: a YAML file, a model folder, or the name of a shipped one.

    Raises:
        ValueError: if there is none, with the nearest name; or for an override of a folder's.
    """
    if str(name).endswith((".yaml", ".yml")):
        return configuration.load_config(name, overrides)
    if overrides:
        raise ConfigError(
            f"{overrides[0]} can't change {name}, which is a model with its parts beside it; name "
            "the configuration that it was composed from"
        )
    return composition.read_config(composition.find(name))
