"""Opening pipelines of diffusers, from folders and from the hub."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, ModelMixin

from anymodal.decoders.families.table import find_family
from anymodal.decoders.files import DIFFUSERS_WEIGHTS, SETTINGS
from anymodal.decoders.meta_device import PipelineIndex, network_classes, pipeline_on_meta_device
from anymodal.io.sources import INDEX, WEIGHTS, explain_load_errors, list_files

MODULAR_INDEX = "modular_model_index.json"
"""What a folder has in the place of `model_index.json` where its model is a modular pipeline."""


def torch_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """A dtype by its name in torch.

    Raises:
        ValueError: torch has no dtype of that name.
    """
    result = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(result, torch.dtype):
        raise ValueError(f"dtype={dtype!r} is none of torch's; give float32, bfloat16 or float16")
    return result


def open_pipeline(
    name: str, dtype: torch.dtype, revision: str | None, *, weights: bool = True
) -> DiffusionPipeline:
    """Open a pipeline's folder; no code that comes with it is ever run.

    Args:
        name: the folder, or a repository on the hub.
        dtype: the weights' precision.
        revision: of the repository.
        weights: without them, the networks are on the meta device and no weight is read.

    Raises:
        ValueError: the pipeline's class is of no known family, or the family can't use its parts,
            or weights hold more than tensors, or the pipeline is a modular one.
        FileNotFoundError: a file is missing, and how to get it.
    """
    try:
        with explain_load_errors("pipeline", name, revision, [["model_index.json"]]):
            index: PipelineIndex = DiffusionPipeline.load_config(name, revision=revision)
    except FileNotFoundError as error:
        if MODULAR_INDEX not in list_files(name, revision):
            raise
        raise ValueError(
            f"{name} has a {MODULAR_INDEX} alone, and a modular pipeline has no call of its own "
            "that takes conditioning in the place of captions; a decoder needs a pipeline's "
            "folder, with a model_index.json"
        ) from error
    parts = [k for k, v in index.items() if isinstance(v, list) and v[0]]
    find_family(str(index.get("_class_name"))).check(parts)
    files = [[f"{part}/{file}" for file in SETTINGS] for part in parts]
    files += _weight_files(index).values() if weights else []
    with _without_notices(), explain_load_errors("pipeline", name, revision, files):
        read = _read_pipeline if weights else pipeline_on_meta_device
        return read(name, index, dtype, revision)


def _weight_files(index: PipelineIndex) -> dict[str, list[str]]:
    """The files that each network's weights may be in, by a pipeline's index."""
    return {
        part: [
            f"{part}/{name}"
            for name in (DIFFUSERS_WEIGHTS if issubclass(kind, ModelMixin) else WEIGHTS)
        ]
        for part, kind in network_classes(index).items()
    }


def _read_pipeline(
    name: str, index: PipelineIndex, dtype: torch.dtype, revision: str | None
) -> DiffusionPipeline:
    """A pipeline, each network from safetensors where it has them, else from tensors in a pickle.

    Those are read with torch's `weights_only=True` by both libraries, which build nothing else.
    They are opened one by one, since a pipeline opens all its networks in one way.
    """
    candidates, classes = _weight_files(index), network_classes(index)
    present = list_files(name, revision)
    pickles = {
        part: files
        for part, files in candidates.items()
        if not present.intersection(_safe(files)) and present.intersection(files)
    }
    folder = _fetch(name, pickles, revision) if pickles else name
    networks = {
        part: classes[part].from_pretrained(
            folder, subfolder=part, dtype=dtype, use_safetensors=False
        )
        for part in pickles
    }
    # With all of them given, a search for safetensors would only end in their not being there.
    return DiffusionPipeline.from_pretrained(
        name,
        dtype=dtype,
        use_safetensors=set(networks) != set(candidates),
        revision=revision,
        **networks,
    )


def _fetch(name: str, parts: Mapping[str, Sequence[str]], revision: str | None) -> str:
    """The folder where parts' configurations and pickled weights are, fetched where it is a hub's.

    diffusers finds shards by a hub's name only where there is a network, by a folder's always.
    """
    from huggingface_hub import snapshot_download

    if Path(name).is_dir():
        return name
    files = [file for names in parts.values() for file in names if file not in _safe(names)]
    # The names that huggingface_hub gives to shards.
    shards = [file.replace(".bin", "-?????-of-?????.bin") for file in files if INDEX not in file]
    patterns = [*files, *shards, *(f"{part}/config.json" for part in parts)]
    return str(snapshot_download(name, revision=revision, allow_patterns=patterns))


def _safe(files: Sequence[str]) -> list[str]:
    return [file for file in files if ".safetensors" in file]


@contextmanager
def _without_notices() -> Iterator[None]:
    """Drop what torch tells diffusers about how to write its autoencoders of sound."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*weight_norm.*", FutureWarning)
        yield
