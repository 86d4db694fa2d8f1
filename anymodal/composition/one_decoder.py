"""A saved model of which one decoder has its weights, for a process that makes media alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from anymodal import config as configuration
from anymodal.composition.building import from_pretrained
from anymodal.composition.folders import find, read_config
from anymodal.config.instantiate import referenced_parts
from anymodal.decoders import Decoder
from anymodal.io.checkpoint import (
    WEIGHTS,
    CheckpointError,
    compare_parts,
    load_weights,
    read_manifest,
)
from anymodal.io.fingerprints import weights_fingerprint

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

Model = TypeVar("Model", bound="ComposedModel")


def open_one_decoder(
    cls: type[Model], path: str | Path, name: str, trusted_packages: Sequence[str] = ()
) -> Model:
    """Read a model folder's decoder of one modality; all other parts are on the meta device.

    Args:
        cls: the model's class.
        path: the folder, or the name of a shipped model.
        name: the modality.
        trusted_packages: packages whose parts the folder may use beside AnyModal's own.

    Raises:
        CheckpointError: if a file is missing or damaged, or the decoder isn't the manifest's.
        ValueError: if the model has no such decoder.
    """
    folder = find(path)
    model = from_pretrained(cls, folder, None, trusted_packages, weights=False)
    if name not in model.decoders:
        names = ", ".join(model.decoders) or "none"
        raise ValueError(f"no decoder is called {name!r}; there are: {names}")
    decoder = _open(folder, name, trusted_packages)
    prefix = f"decoders.{name}."
    tensors = load_weights(folder / WEIGHTS)
    own = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    if unknown := decoder.load_state_dict(own, strict=False).unexpected_keys:
        raise CheckpointError(f"{folder / WEIGHTS} has no place for {', '.join(unknown)}")
    part = f"decoder.{name}"
    entry = {**decoder.metadata(), "weights": weights_fingerprint(decoder)}
    compare_parts({part: read_manifest(folder)[part]}, {part: entry}, str(folder))
    # Not `replace_decoder`, which moves it to where the other parts are.
    model.set_modality(name, replace(model.modalities[name], decoder=decoder))
    decoder.requires_grad_(False).eval()
    return model


def _open(folder: Path, name: str, trusted_packages: Sequence[str]) -> Decoder:
    config = read_config(folder)
    node, shared = config["modalities"][name]["decoder"], config.get("parts") or {}
    needed = {key: shared[key] for key in referenced_parts(node, shared)}
    parts = configuration.build_parts(needed, trusted_packages)
    decoder = configuration.instantiate(node, parts=parts, trusted_packages=trusted_packages)
    assert isinstance(decoder, Decoder), "it was one without weights"
    return decoder
