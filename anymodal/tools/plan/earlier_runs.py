"""Parts that earlier runs of a plan will leave, in place of folders that aren't there yet."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import singledispatch
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import DiffusionPipeline
from torch import nn

from anymodal.composition import placement
from anymodal.config import ConfigError
from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.pretrained import torch_dtype
from anymodal.encoders import ImageBind
from anymodal.io.recorded import OPENS
from anymodal.language.model import LanguageModel
from anymodal.model import AnyModal

Model = TypeVar("Model", bound=nn.Module)

EarlierRuns = Mapping[Path, nn.Module]
"""Models of earlier runs, on the meta device, by the folder that each run will write."""


def earlier_part(
    earlier: EarlierRuns, target: Callable[..., object], arguments: Mapping[str, object]
) -> nn.Module | DiffusionPipeline | None:
    """The part that a `from_pretrained` will open from an earlier run's folder; None elsewhere."""
    owner = getattr(target, "__self__", None)
    if not inspect.isclass(owner) or getattr(target, "__name__", "") != OPENS:
        return None
    parameter = next(iter(inspect.signature(target).parameters))
    folder = Path(str(arguments.get(parameter)))
    if folder.exists() or (model := earlier.get(folder)) is None:
        return None
    options = {name: value for name, value in arguments.items() if name != parameter}
    for part in model.modules():
        if isinstance(part, owner):
            return reopen(copy_model(part), options)
        if isinstance(part, DiffusionDecoder) and isinstance(part.pipeline, owner):
            return _reopen_pipeline(copy_model(part).pipeline, options)
    return None


def _reopen_pipeline(pipeline: DiffusionPipeline, options: Mapping[str, Any]) -> DiffusionPipeline:
    """A pipeline with some of its parts exchanged."""
    unknown = [name for name in options if name not in pipeline.components]
    if unknown:
        raise _unplanned(pipeline, unknown)
    return type(pipeline)(**{**pipeline.components, **options})


@singledispatch
def reopen(part: nn.Module, options: Mapping[str, Any]) -> nn.Module:
    """A part as `from_pretrained` with these options would open it.

    Raises:
        ConfigError: for options of a class that nothing here knows.
    """
    if options:
        raise _unplanned(part, options)
    return part


def _unplanned(part: object, options: Iterable[str]) -> ConfigError:
    """The error of options that only the run itself can tell the meaning of."""
    return ConfigError(
        f"{type(part).__name__} with {', '.join(options)} can't be planned before the run that "
        "leaves it; do that run first"
    )


@reopen.register
def _(part: AnyModal, options: Mapping[str, Any]) -> AnyModal:
    lora = options.get("lora")
    if lora and part.language.lora is None:
        part.language.enable_lora(**lora)
    placement.place(part, placement.parse_dtypes(options.get("dtype")), {})
    return part


@reopen.register
def _(part: LanguageModel, options: Mapping[str, Any]) -> LanguageModel:
    dtype = options.get("dtype")
    if dtype not in (None, "auto"):
        part.model.to(torch_dtype(dtype))
    part.quantize = options.get("quantize")
    if options.get("lora") is not None:
        part.enable_lora(**options["lora"])
    return part.eval()


@reopen.register
def _(part: DiffusionDecoder, options: Mapping[str, Any]) -> DiffusionDecoder:
    settings = {k: v for k, v in options.items() if k not in ("dtype", "revision")}
    decoder = type(part)(part.pipeline, **settings)
    return decoder.to(torch_dtype(options.get("dtype", torch.float32))).eval()


@reopen.register
def _(part: ImageBind, options: Mapping[str, Any]) -> ImageBind:
    names = options.get("modalities") or part.trunks
    with torch.device("meta"):
        return type(part)({name: part.trunks[name] for name in names}, part.embedding).eval()


def copy_model(model: Model) -> Model:
    """A copy on the meta device that may be changed while the other stays."""
    detach_computed(model)
    return copy.deepcopy(model)


def detach_computed(model: nn.Module) -> None:
    """Let a model be copied: what a weight norm computed is no leaf of autograd's, and only those
    can be.
    """
    for part in model.modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                setattr(part, name, value.detach())
