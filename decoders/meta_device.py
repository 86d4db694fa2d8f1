"""Diffusers pipelines on torch's meta device: shapes and dtypes, no values."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.utils.deprecation_utils import _maybe_remap_transformers_class
from torch import nn


def network_on_meta_device(cls: Any, folder: str | Path, **more: Any) -> Any:
    """One network of diffusers or transformers on the meta device, from its folder's config.

    Raises:
        OSError: if there is no such folder, or no config in it.
    """
    with torch.device("meta"):
        if issubclass(cls, diffusers.ConfigMixin):
            return cls.from_config(cls.load_config(str(folder), **more))
        return cls(cls.config_class.from_pretrained(str(folder), **more))


def pipeline_on_meta_device(
    folder: str, index: Mapping[str, Any], dtype: torch.dtype, revision: str | None = None
) -> Any:
    """A pipeline whose networks have no weights; its tokenizers and schedulers are read.

    Args:
        folder: the pipeline's, or its name on the hub.
        index: its `model_index.json`: a component's name to its library and class, or a setting.
        dtype: the weights' precision.
        revision: of the hub's repository.
    """
    kind = getattr(diffusers, str(index["_class_name"]))
    known = inspect.signature(kind.__init__).parameters
    found: dict[str, Any] = {}
    for name, entry in index.items():
        if name not in known:
            continue
        if not isinstance(entry, list | tuple):
            found[name] = entry
        elif None in entry:
            found[name] = None
        else:
            found[name] = _component(folder, name, _class(kind, *entry), dtype, revision)
    with torch.device("cpu"):  # what a pipeline computes of its parts
        return kind(**found)


def networks(index: Mapping[str, Any]) -> dict[str, Any]:
    """The classes of a pipeline's parts that have weights, by its `model_index.json`.

    A class that the libraries don't have any more is left to what opens it.
    """
    kind = getattr(diffusers, str(index["_class_name"]))
    found = {}
    for name, entry in index.items():
        if isinstance(entry, list | tuple) and None not in entry:
            with contextlib.suppress(AttributeError):
                found[name] = _class(kind, *entry)
    return {name: cls for name, cls in found.items() if issubclass(cls, nn.Module)}


def _component(folder: str, name: str, cls: Any, dtype: torch.dtype, revision: str | None) -> Any:
    if not issubclass(cls, nn.Module):
        with torch.device("cpu"):  # schedulers compute with what they make
            return cls.from_pretrained(folder, subfolder=name, revision=revision)
    network = network_on_meta_device(cls, folder, subfolder=name, revision=revision).eval()
    for weight in network.parameters():
        weight.data = weight.data.to(dtype)
    return network


def _class(pipeline: Any, library: str, name: str) -> Any:
    """A component's class; of networks that only this pipeline has, beside the pipeline."""
    if library in ("diffusers", "transformers"):
        if library == "transformers":  # some are older than its names
            name = _maybe_remap_transformers_class(name) or name
        return getattr(importlib.import_module(library), name)
    return getattr(importlib.import_module(pipeline.__module__.rpartition(".")[0]), name)
