"""Checkpoints of published systems, by their own keys, to weights that a model starts from.

`convert` writes a folder that a model's configuration names under `weights:`. What isn't asked for
there, as the language model's own weights, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from anymodal.encoders.imagebind.convert import file_hash, read_state_dict
from anymodal.io.checkpoint import (
    WEIGHTS,
    CheckpointError,
    replacing_folder,
    save_weights,
    write_manifest,
)
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
        source: what `torch.save` wrote, as published, or a folder of safetensors.
        folder: where to; one that is there is replaced as a whole.
        tokenizer: the checkpoint's own, where its rows are those of a whole vocabulary: it says
            where the signals are. Without it such rows are left out.
        only: modalities whose entries to take; all of them where empty.

    Returns:
        The origin of the weights, as the manifest has it.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is damaged, holds more than tensors, or lacks what the system has.
        ValueError: if the tokenizer lacks signals.
    """
    system = SYSTEMS[kind]
    tensors = (
        _Folder(source) if source.is_dir() else read_state_dict(source, ("state_dict", "model"))
    )
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


class _Folder(Mapping[str, Tensor]):
    """Tensors of a folder's safetensors, each read when it is asked for: of a model of many
    gigabytes little is taken.

    Raises:
        FileNotFoundError: if there are none.
        CheckpointError: if one is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, Path] = {}
        for file in sorted(folder.glob("*.safetensors")):
            try:
                with safe_open(file, framework="pt") as handle:
                    self.files |= dict.fromkeys(handle.keys(), file)
            except SafetensorError as error:
                raise CheckpointError(f"{file} is truncated or not a safetensors file") from error
        if not self.files:
            raise FileNotFoundError(2, "no safetensors in this folder", str(folder))

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self.files[name], framework="pt") as handle:
            tensor: Tensor = handle.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


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
