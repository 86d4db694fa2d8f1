"""Diffusers pipelines on torch's meta device: shapes and dtypes, no values."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path

import diffusers
import torch
from diffusers import DiffusionPipeline, ModelMixin, SchedulerMixin
from diffusers.utils.deprecation_utils import _maybe_remap_transformers_class
from torch import nn
from transformers import PreTrainedTokenizerBase

ComponentClass = type[ModelMixin | SchedulerMixin | PreTrainedTokenizerBase]
"""The class of one of a pipeline's components, of diffusers or of transformers."""

PipelineIndex = Mapping[str, object]
"""A `model_index.json`: a component's name to its library and class, or a setting to its value."""


def network_on_meta_device(
    cls: type[ModelMixin], folder: str | Path, **options: object
) -> nn.Module:
    """One network of diffusers or transformers on the meta device, from its folder's config.

    Raises:
        OSError: if there is no such folder, or no config in it.
    """
    with torch.device("meta"):
        if issubclass(cls, diffusers.ConfigMixin):
            network: nn.Module = cls.from_config(cls.load_config(str(folder), **options))
        else:
            network = cls(cls.config_class.from_pretrained(str(folder), **options))
    return network


def pipeline_on_meta_device(
    folder: str, index: PipelineIndex, dtype: torch.dtype, revision: str | None = None
) -> DiffusionPipeline:
    """A pipeline whose networks have no weights; its tokenizers and schedulers are read.

    Args:
        folder: the pipeline's, or its name on the hub.
        index: its `model_index.json`.
        dtype: the weights' precision.
        revision: of the hub's repository.
    """
    kind = getattr(diffusers, str(index["_class_name"]))
    parameters = inspect.signature(kind.__init__).parameters
    arguments: dict[str, object] = {}
    for name, entry in index.items():
        if name not in parameters:
            continue
        if not isinstance(entry, list | tuple):
            arguments[name] = entry
        elif None in entry:
            arguments[name] = None
        else:
            arguments[name] = _component(folder, name, _class(kind, *entry), dtype, revision)
    with torch.device("cpu"):  # what a pipeline computes of its parts
        return kind(**arguments)


def network_classes(index: PipelineIndex) -> dict[str, type[ModelMixin]]:
    """The classes of a pipeline's parts that have weights, by its `model_index.json`.

    A class that the libraries don't have any more is left to what opens it.
    """
    kind = getattr(diffusers, str(index["_class_name"]))
    classes = {}
    for name, entry in index.items():
        if isinstance(entry, list | tuple) and None not in entry:
            with contextlib.suppress(AttributeError):
                classes[name] = _class(kind, *entry)
    return {name: cls for name, cls in classes.items() if issubclass(cls, nn.Module)}


def _component(
    folder: str, name: str, cls: ComponentClass, dtype: torch.dtype, revision: str | None
) -> object:
    if not issubclass(cls, nn.Module):
        with torch.device("cpu"):  # schedulers compute with what they make
            return cls.from_pretrained(folder, subfolder=name, revision=revision)
    network = network_on_meta_device(cls, folder, subfolder=name, revision=revision).eval()
    for weight in network.parameters():
        weight.data = weight.data.to(dtype)  # from_config has no dtype, unlike from_pretrained
    return network


def _class(pipeline: type[DiffusionPipeline], library: str, name: str) -> ComponentClass:
    """A component's class; of networks that only this pipeline has, beside the pipeline."""
    if library in ("diffusers", "transformers"):
        if library == "transformers":  # some are older than its names
            name = _maybe_remap_transformers_class(name) or name
        cls: ComponentClass = getattr(importlib.import_module(library), name)
        return cls
    cls = getattr(importlib.import_module(pipeline.__module__.rpartition(".")[0]), name)
    return cls
