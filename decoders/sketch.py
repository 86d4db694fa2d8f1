"""The networks of a diffusers pipeline's folder, without their weights."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import nn


def sketched(cls: Any, folder: str | Path, **more: Any) -> Any:
    """One network of diffusers or transformers on the meta device, from its folder's config.

    Raises:
        OSError: if there is no such folder, or no config in it.
    """
    with torch.device("meta"):
        if issubclass(cls, diffusers.ConfigMixin):
            return cls.from_config(cls.load_config(str(folder), **more))
        return cls(cls.config_class.from_pretrained(str(folder), **more))


def sketched_networks(
    folder: Path, index: Mapping[str, Any], pipeline: str, dtype: torch.dtype
) -> dict[str, nn.Module]:
    """Every network that a pipeline's index names, by the name it has there.

    Args:
        folder: the pipeline's.
        index: its `model_index.json`: name to library and class.
        pipeline: the class of the pipeline, beside which its own kinds of network are defined.
        dtype: the weights' precision.
    """
    found: dict[str, nn.Module] = {}
    for name, entry in index.items():
        if not isinstance(entry, list | tuple) or None in entry:
            continue
        library, cls_name = entry
        if library in ("diffusers", "transformers"):
            home = importlib.import_module(library)
        else:  # a network that only this pipeline has
            module = getattr(diffusers, pipeline).__module__
            home = importlib.import_module(module.rpartition(".")[0])
        cls = getattr(home, cls_name)
        if isinstance(cls, type) and issubclass(cls, nn.Module):
            found[name] = sketched(cls, folder / name).eval()
            for weight in found[name].parameters():
                weight.data = weight.data.to(dtype)
    return found
