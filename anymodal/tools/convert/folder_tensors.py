"""Tensors of a published checkpoint in a folder, whatever number of files they are in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from anymodal.encoders.imagebind.convert import read_state_dict
from anymodal.io.checkpoint import CheckpointError

INSIDE = ("state_dict", "model_state_dict", "model")
"""Keys under which trainings save a state dict beside other things."""


class FolderTensors(Mapping[str, Tensor]):
    """Tensors of a folder's safetensors, or else of its `pytorch_model*.bin`, each read when it is
    asked for: of a model of many gigabytes little is taken.

    An index, where the folder has one, tells of files that aren't there. Asking for a tensor of
    such a file is an error, so no part of a checkpoint is left out without a word.

    Raises:
        FileNotFoundError: if there are none.
        CheckpointError: if a file or the index is damaged, or lacks a tensor that is asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._read: dict[Path, dict[str, Tensor]] = {}  # of pickles, which stay mapped
        self.files = _in_safetensors(folder) or self._in_pickles(folder)
        if not self.files:
            raise FileNotFoundError(
                2, "no safetensors or pytorch_model*.bin in this folder", str(folder)
            )

    def _in_pickles(self, folder: Path) -> dict[str, Path]:
        for file in sorted(folder.glob("pytorch_model*.bin")):
            self._read[file] = read_state_dict(file, INSIDE)
        if not self._read:
            return {}
        files = _indexed(folder, "pytorch_model.bin.index.json")
        return files | {name: file for file, tensors in self._read.items() for name in tensors}

    def __getitem__(self, name: str) -> Tensor:
        file = self.files[name]
        if file in self._read:
            return self._read[file][name]
        if not file.is_file():
            raise CheckpointError(
                f"{name} is in {file.name}, which isn't in {file.parent}; download that file too"
            )
        try:
            with safe_open(file, framework="pt") as handle:
                tensor: Tensor = handle.get_tensor(name)
        except SafetensorError as error:
            raise CheckpointError(
                f"{file} has no {name}, which its index names; download it again"
            ) from error
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def _in_safetensors(folder: Path) -> dict[str, Path]:
    """Files by their tensors' names; none where the folder has no safetensors."""
    found: dict[str, Path] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as handle:
                found |= dict.fromkeys(handle.keys(), file)
        except SafetensorError as error:
            raise CheckpointError(f"{file} is truncated or not a safetensors file") from error
    return _indexed(folder, "model.safetensors.index.json") | found if found else {}


def _indexed(folder: Path, name: str) -> dict[str, Path]:
    """Files by their tensors' names, as an index tells; none without one."""
    path = folder / name
    if not path.is_file():
        return {}
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        # Of a path its name alone: an index has no say in what else is read.
        return {str(tensor): folder / Path(file).name for tensor, file in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged; download it again") from error
