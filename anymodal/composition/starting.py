"""Weights of folders that a new model starts from."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anymodal.composition.folders import read_config
from anymodal.composition.save import own_weights
from anymodal.distributed import collectives
from anymodal.io import checkpoint
from anymodal.io.checkpoint import CONFIG, WEIGHTS
from anymodal.io.training_records import read_stages
from anymodal.language.token_names import token_names

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

_LOG = logging.getLogger("anymodal")


def start_from(model: ComposedModel, *folders: Path) -> None:
    """Give a model the weights of folders, of some of what it holds, in this order.

    Rows of new tokens are those of the tokens of the same names; a folder without a configuration
    has those of the model's signals, in order. A fusion that began as copies of the language model
    begins so again, unless a folder has weights of it. Of a part that folders have in part, it is
    logged what they lack.

    Raises:
        CheckpointError: if a name or a shape is none of the model's.
    """
    given: set[str] = set()
    for folder in folders:
        given |= _take(model, folder)
    has_fusion = any(name.startswith("fusion.") for name in given)
    if model.fusion is not None and not has_fusion and _has_language(given):
        model.fusion.copy_again()  # of the language model as it has just become
    if given:
        _log_missing(model, given, ", ".join(map(str, folders)))


def _has_language(names: Collection[str]) -> bool:
    return any(name.startswith("language.model.") for name in names)


def _take(model: ComposedModel, folder: Path) -> set[str]:
    """Copy a folder's weights; the names of those that it has."""
    tensors = checkpoint.load_weights(folder / WEIGHTS)
    rows: list[str] = [n for n in ("language.rows", "language.output_rows") if n in tensors]
    names = _token_names(model, folder) if rows else []
    state: dict[str, Tensor] = model.state_dict(
        keep_vars=True
    )  # shared weights by each of their names
    places = {name: place for place, name in enumerate(model.signals.names)}
    for name in rows:
        if len(names) != len(tensors[name]) or name not in state:
            continue  # told with the other differences
        of_tokens = zip(names, tensors.pop(name), strict=True)
        tensors |= {f"{name} of {token}": row for token, row in of_tokens}
        matrix = state.pop(name).detach()  # views of it: what is copied there is the model's
        state |= {f"{name} of {token}": matrix[place] for token, place in places.items()}
    targets = {name: state[name] for name in tensors if name in state}
    checkpoint.compare_shapes(tensors, targets, f"{folder / WEIGHTS}")
    with torch.no_grad():
        for name, value in tensors.items():
            targets[name].copy_(value)
    new = [each for each in read_stages(folder) if each not in model.training_records]
    model.training_records = [*model.training_records, *new]
    for origin in checkpoint.read_manifest(folder).values():
        checkpoint.log_licence(str(folder), origin)
    return set(tensors)


def _log_missing(model: ComposedModel, given: Collection[str], label: str) -> None:
    """Log, once among processes, what weights lack of parts that they have in part."""
    own = own_weights(model)
    for part in ("projection", "fusion", *(f"heads.{name}" for name in model.heads)):
        names = [name for name in own if name.startswith(f"{part}.")]
        missing = [name for name in names if name not in given]
        if missing and len(missing) < len(names) and collectives.is_rank_zero():
            _LOG.warning(
                "%s: of %d weights of the %s, %d aren't there and stay as they began: %s",
                label,
                len(names),
                part,
                len(missing),
                ", ".join(missing[:3]) + (", …" if missing[3:] else ""),
            )


def _token_names(model: ComposedModel, folder: Path) -> list[str]:
    """The new tokens whose rows a folder has, in their order."""
    if not (folder / CONFIG).is_file():
        return model.signals.names[: sum(model.signals.counts.values())]
    modalities = read_config(folder)["modalities"]
    makes = {
        name: node["num_signal_tokens"] for name, node in modalities.items() if node.get("decoder")
    }
    return token_names(makes, [name for name, node in modalities.items() if node.get("encoder")])
