"""The objects that a run's configuration names: objective, data, and what is held out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

import lightning as L
from torch import nn

from anymodal import config as configuration
from anymodal.config import BuildPart, ConfigError, call
from anymodal.data.mixture import epoch_size
from anymodal.decoders.deferred import DeferDecoders, DeferredDecoder
from anymodal.training import plugins
from anymodal.training.configuration import Run
from anymodal.training.losses import LATENTS, build_losses, needs_of
from anymodal.training.objectives import Dialogue, Objective
from anymodal.training.objectives.dialogue import DIALOGUE_LOSSES
from anymodal.training.plugins import Samples
from anymodal.training.strategies import trainer_arguments
from anymodal.training.validation.configuration import ValidationConfig
from anymodal.training.validation.held_out import HeldOut, Sources, open_held_out


def build(run: Run) -> tuple[Objective[Any, Any], Sequence[Any]]:
    """A run's objective, with its model, and its data; random weights are drawn from its seed."""
    objective, data, _ = build_all(run, with_validation=False)
    return objective, data


def build_all(
    run: Run, with_validation: bool = True
) -> tuple[Objective[Any, Any], Sequence[Any], HeldOut | None]:
    """The same, and what is held out, if the run validates."""
    objective, parts = build_objective(run, run.feature_cache.dir if defers_decoders(run) else None)
    names = _deferred_names(objective.model)
    if any(fnmatchcase(n, glob) for n in names for glob in run.stage.trainable):
        objective, parts = build_objective(run, None)
    data = _build_data(run.data, "data", run, parts)
    resolve_steps(run, epoch_size(data))
    if not with_validation or run.validation is None:
        return objective, data, None
    sources = {
        name: _build_data(node, "validation.data", run, parts)
        for name, node in run.validation.sources().items()
    }
    return objective, data, open_held_out(run, objective, sources, parts)


def held_out_of(
    run: Run, objective: Objective[Any, Any], data: Sequence[Any] | Sources | None
) -> HeldOut | None:
    """The held-out data that a run from Python is given, checked."""
    if data is None:
        if run.validation is not None:
            raise ConfigError("validation needs validation_data, the held-out samples")
        return None
    run.validation = run.validation or ValidationConfig()
    sources = data if isinstance(data, Mapping) else {"": data}
    for name, each in sources.items():
        place = f"validation_data[{name!r}]" if name else "validation_data"
        plugins.check_object(each, Samples, place)  # type: ignore[type-abstract]
    return open_held_out(run, objective, sources, {})


def resolve_steps(run: Run, samples: int) -> None:
    """Set a run's steps by its epochs, where it has those.

    Args:
        run: the run.
        samples: in an epoch of its data.
    """
    if run.epochs is None or run.steps:
        return
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    arguments = trainer_arguments({**run.trainer, **dict.fromkeys(quiet, False)})
    samples_a_step = (
        run.batch_size * run.accumulate_grad_batches * L.Trainer(**arguments).world_size
    )
    run.steps = max(1, math.ceil(run.epochs * samples / samples_a_step))


def _build_data(node: Any, place: str, run: Run, parts: Mapping[str, Any]) -> Sequence[Any]:
    data = configuration.instantiate(node, parts=dict(parts), trusted_packages=run.trusted)
    if not isinstance(data, Samples) or isinstance(data, Mapping):
        name = node.get("_target_") or node["_part_"]
        raise ConfigError(f"{place} ({name}) gives a {type(data).__name__}, not samples by index")
    return cast(Sequence[Any], data)


def defers_decoders(run: Run) -> bool:
    """Return True if decoders may stay on disk: losses need no more of them than captions'
    conditioning, and no change of all weights' type is to reach them.
    """
    if run.objective is not None or run.precision not in ("32-true", "16-mixed", "bf16-mixed"):
        return False
    if run.validation is not None and run.validation.samples != 0:
        return False  # replies may have media, which decoders make
    losses = build_losses(run.stage.losses, DIALOGUE_LOSSES)
    return LATENTS not in needs_of(losses.values())


def objective_of(
    run: Run, model: Any, parts: Mapping[str, Any], build_part: BuildPart = call
) -> Objective[Any, Any]:
    """The objective of a run, around a model that is built.

    Raises:
        ConfigError: if it can't train that model.
    """
    if run.objective is None:
        return Dialogue(model)
    objective = configuration.instantiate(
        run.objective,
        parts=dict(parts),
        trusted_packages=run.trusted,
        build_part=build_part,
        model=model,
    )
    if not isinstance(objective, Objective):
        raise ConfigError(f"objective gives a {type(objective).__name__}, which is no Objective")
    return objective


def build_objective(run: Run, cache: str | None) -> tuple[Objective[Any, Any], dict[str, Any]]:
    """A run's objective, with its model, and the parts that it shares.

    Args:
        run: the run.
        cache: the folder of the notes of decoders that stay on disk; None to open them all.
    """
    # Here, since `build` may come twice, and new weights must be the same both times.
    L.seed_everything(run.seed, verbose=False)
    defer = DeferDecoders(cache)
    parts = configuration.build_parts(run.parts, run.trusted, defer)
    model = configuration.instantiate(
        run.model, parts=parts, trusted_packages=run.trusted, build_part=defer
    )
    return objective_of(run, model, parts, defer), parts


def _deferred_names(model: nn.Module) -> Iterator[str]:
    """Names that parameters on disk would have in the model."""
    for place, module in model.named_modules():
        if isinstance(module, DeferredDecoder):
            yield from (f"{place}.{name}" for name in module.note.parameters)
