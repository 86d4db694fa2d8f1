"""Checkpoints of published systems, by their own keys, to weights that a model starts from.

`convert` writes a folder that a model's configuration names under `weights:`. What isn't asked for
there, as the language model's own weights, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from anymodal.encoders.imagebind.convert import file_hash, read_state_dict
from anymodal.io.checkpoint import (
    WEIGHTS,
    CheckpointError,
    replacing_folder,
    save_weights,
    write_manifest,
)
from anymodal.tools.convert.folder_tensors import INSIDE, FolderTensors
from anymodal.tools.convert.system import Names, System
from anymodal.tools.convert.systems import SYSTEMS


def convert(
    kind: str,
    source: Path,
    folder: Path,
    tokenizer: str | Path | None = None,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the weights of a published checkpoint that a model starts from; none of its code runs.

    Args:
        kind: one of `SYSTEMS`.
        source: what `torch.save` wrote, as published, or a folder of safetensors or of
            `pytorch_model*.bin`.
        folder: where to; one that is there is replaced as a whole.
        tokenizer: the checkpoint's own, where its rows are those of a whole vocabulary: it says
            where the signals are. Without it such rows are left out.
        only: modalities whose entries to take; all of them where empty.

    Returns:
        The origin of the weights, as the manifest has it.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is damaged, holds more than tensors, or lacks what the system has;
            if a file of a folder isn't there whose tensors are to be taken.
        ValueError: if the tokenizer lacks signals.
    """
    system = SYSTEMS[kind]
    tensors = FolderTensors(source) if source.is_dir() else read_state_dict(source, INSIDE)
    model_weights = _rename_keys(system.names, tensors) | _derive(system, tensors)
    if absent := [name for name in system.required_names if name not in model_weights]:
        raise CheckpointError(
            f"{source} has nothing for {', '.join(absent)}, so it is no checkpoint of {kind}; it "
            f"holds {len(tensors)} tensors, as {next(iter(tensors), 'none')!r}"
        )
    encoder_weights = _encoder_weights(system, tensors, only)
    if only:
        model_weights = {
            name: value for name, value in model_weights.items() if _is_for(name, only)
        }
    signals = [s for m, names in system.signals.items() if not only or m in only for s in names]
    rows = _rows(system, signals, tensors, tokenizer)
    origin = {
        "system": kind,
        "file": source.name,
        "sha256": file_hash(source) if source.is_file() else None,
        "licence": system.licence,
        "commercial_use": system.commercial_use,
        "rows": sorted(rows),
    }
    with replacing_folder(folder) as temporary:
        save_weights({**model_weights, **rows}, temporary / WEIGHTS)
        write_manifest(temporary, {kind: origin})
        for name, weights in encoder_weights.items():
            if weights:
                save_weights(weights, temporary / name / WEIGHTS)
                write_manifest(temporary / name, {kind: origin})
    return origin


def _encoder_weights(
    system: System, tensors: Mapping[str, Tensor], only: Sequence[str]
) -> dict[str, dict[str, Tensor]]:
    """Weights of encoders by the folders they go into; of these modalities, where any are named."""
    by_folder = {
        folder: _rename_keys(names, tensors) for folder, names in system.names_by_folder.items()
    }
    if not only:
        return by_folder
    return {
        folder: {name: value for name, value in weights.items() if name.split(".")[0] in only}
        for folder, weights in by_folder.items()
    }


_PROCESS_PREFIX = "module."
"""Stands before the names of a model that several processes trained."""


def _rename_keys(patterns: Names, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    weights = {}
    for key in tensors:
        for pattern, names in patterns:
            if match := re.fullmatch(pattern, key.removeprefix(_PROCESS_PREFIX)):
                # Cloned: safetensors refuses tensors that share memory.
                weights.update({match.expand(name): tensors[key].clone() for name in names})
    return weights


def _derive(system: System, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights that are other than the checkpoint's."""
    weights: dict[str, Tensor] = {}
    for key in tensors:
        for pattern, derive in system.derived:
            if match := re.fullmatch(pattern, key.removeprefix(_PROCESS_PREFIX)):
                made = derive(match, tensors[key])
                weights |= {name: value.clone() for name, value in made.items()}
    return weights


def _is_for(name: str, modalities: Sequence[str]) -> bool:
    """Return whether an entry is one of these modalities', or shared by all."""
    match = re.match(
        r"heads\.(\w+)|projection\.(?:maps|routers|resample_tokens|clip_proj[12]|start_tag|end_tag)"
        r"\.(\w+)",
        name,
    )
    return match is None or (match[1] or match[2]) in modalities


def _rows(
    system: System,
    signals: Sequence[str],
    tensors: Mapping[str, Tensor],
    tokenizer: str | Path | None,
) -> dict[str, Tensor]:
    """The rows of the signals, in our order."""
    rows = {
        name: tensors[key]
        for name, source_key in (system.rows or {}).items()
        for key in (source_key, f"{_PROCESS_PREFIX}{source_key}")
        if key in tensors
    }
    count = len(signals)
    if tokenizer is None:
        return {name: value for name, value in rows.items() if len(value) == count}
    # transformers takes seconds to import and only this needs it.
    from transformers import AutoTokenizer

    vocabulary = AutoTokenizer.from_pretrained(str(tokenizer)).get_vocab()
    if absent := [name for name in signals if name not in vocabulary]:
        raise ValueError(
            f"the tokenizer at {str(tokenizer)!r} lacks {len(absent)} signals, as {absent[0]}; "
            "give the one that the checkpoint came with"
        )
    ids = [vocabulary[name] for name in signals]
    for name, value in rows.items():
        if max(ids) >= len(value):
            raise ValueError(
                f"the tokenizer at {str(tokenizer)!r} has ids up to {max(ids)}, and {name} "
                f"{len(value)} rows; give the one that the checkpoint came with"
            )
    return {name: value[ids] for name, value in rows.items()}
