"""Models from configurations without their weights, on torch's meta device."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import diffusers
import torch
from diffusers.utils import logging
from torch import nn

from anymodal import composition
from anymodal import config as configuration
from anymodal.config import ConfigError
from anymodal.decoders.loading import sketched
from anymodal.model import AnyModal
from anymodal.training.configuration import Run

Model = TypeVar("Model", bound=nn.Module)

Made = Mapping[Path, nn.Module]
"""What earlier runs will leave, by the folder they will leave it in."""


def sketch_model(
    config: Mapping[str, Any], made: Made, trusted_packages: Sequence[str] = ()
) -> AnyModal:
    """A composed model with every parameter's shape and dtype, and none of its values.

    Raises:
        ConfigError: if the configuration can't work, or a part can't be built without weights.
        OSError: if a part's folder is missing.
    """
    with _sketching(made):
        return AnyModal.compose(config, trusted_packages)


def sketch_run(run: Run, made: Made) -> tuple[nn.Module, Sequence[Any] | str]:
    """What a training run would train, in the same way, and its data, or why there are none.

    Raises:
        ConfigError: as for a model.
        OSError: if a part's folder is missing, such as what an earlier run has not made yet.
    """
    wanted = _mentioned([run.model, run.data], run.parts)
    data: Sequence[Any] | str
    with _sketching(made):
        parts = configuration.build_parts({name: run.parts[name] for name in wanted}, run.trusted)
        model = configuration.instantiate(run.model, parts=parts, trusted_packages=run.trusted)
    if not isinstance(model, nn.Module):
        raise ConfigError(f"model: a {type(model).__name__} has no parameters to plan for")
    try:
        with _without_reading(made):
            data = configuration.instantiate(run.data, parts=parts, trusted_packages=run.trusted)
    except (OSError, ValueError) as error:
        data = f"its data: {error}"
    return model, data


@contextlib.contextmanager
def _sketching(made: Made) -> Iterator[None]:
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # of what diffusers says of networks that it didn't load
    try:
        with _without_reading(made), torch.device("meta"):
            yield
    finally:
        logging.set_verbosity(verbosity)


def _without_reading(made: Made) -> contextlib.AbstractContextManager[None]:
    def call(target: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        try:
            return without_weights(made, target)(**arguments)
        except (RuntimeError, NotImplementedError) as error:
            name = getattr(target, "__qualname__", target)
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"{name} can't be planned: it looks at values that aren't there ({why}); give it a "
                "classmethod 'from_pretrained' and a 'sketch' of the same arguments that needs none"
            ) from error

    return configuration.calling(call)


def without_weights(made: Made, target: Callable[..., Any]) -> Callable[..., Any]:
    """What to call instead of a target that would read weights.

    A class's `from_pretrained` gives way to its `sketch`, which takes the same arguments; networks
    of diffusers are built from their folder's config. Everything else is called as it is.

    Raises:
        ConfigError: for a class that can't be built without its weights.
    """
    owner = getattr(target, "__self__", None)
    if not inspect.isclass(owner) or target.__name__ != "from_pretrained":
        return target
    if hasattr(owner, "sketch"):
        return partial(_sketch, made, owner, next(iter(inspect.signature(target).parameters)))
    if issubclass(owner, diffusers.ModelMixin):
        return partial(_network, made, owner)
    if not issubclass(owner, nn.Module):
        return target  # a tokenizer, say
    raise ConfigError(
        f"{owner.__name__} can't be planned without its weights; give it a classmethod 'sketch' "
        "that takes what 'from_pretrained' takes and builds on the meta device"
    )


def _sketch(made: Made, owner: Any, first: str, **given: Any) -> Any:
    """A class's sketch of a folder, named by its first argument, or of what will lie there."""
    left = _left(made, owner, given[first])
    return owner.sketch(**{**given, first: given[first] if left is None else left})


def _network(
    made: Made, owner: Any, pretrained_model_name_or_path: str, **settings: Any
) -> nn.Module:
    left = _left(made, owner, pretrained_model_name_or_path)
    network: nn.Module = left or sketched(owner, pretrained_model_name_or_path, **settings)
    return network


def _left(made: Made, owner: Any, folder: Any) -> nn.Module | None:
    """A copy of the part of a class that an earlier run will leave in a folder."""
    if Path(folder).exists() or (model := made.get(Path(folder))) is None:
        return None
    found = next((part for part in model.modules() if isinstance(part, owner)), None)
    return None if found is None else copied(found)


def copied(model: Model) -> Model:
    """A sketch that may be changed while the other stays."""
    forget_what_was_computed(model)
    return copy.deepcopy(model)


def forget_what_was_computed(model: nn.Module) -> None:
    """Let a model be copied: what a weight norm computed is no leaf of autograd's, and only those
    can be.
    """
    for part in model.modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                setattr(part, name, value.detach())


def _mentioned(node: Any, parts: Mapping[str, Any]) -> list[str]:
    """The shared parts that a node stands on, in the order they are built."""
    found: set[str] = set()

    def look(inner: Any) -> None:
        if isinstance(inner, Mapping):
            name = str(inner.get("_part_", ""))
            if name in parts and name not in found:
                found.add(name)
                look(parts[name])
            for value in inner.values():
                look(value)
        elif isinstance(inner, list):
            for value in inner:
                look(value)

    look(node)
    return [name for name in parts if name in found]


def read_model(name: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration of a model: a YAML file, a model folder, or the name of a shipped one.

    Raises:
        ValueError: if there is none, with the nearest name; or for an override of a folder's.
    """
    if str(name).endswith((".yaml", ".yml")):
        return configuration.load(name, overrides)
    if overrides:
        raise ConfigError(
            f"{overrides[0]} can't change {name}, which is a model with its parts beside it; name "
            "the configuration that it was composed from"
        )
    return composition.read_config(composition.find(name))
