"""A published ImageBind checkpoint, as its user downloaded it, to a folder of safetensors."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anymodal.encoders.imagebind.config import PRESETS
from anymodal.encoders.imagebind.encoder import PART, ImageBind
from anymodal.io.checkpoint import CheckpointError, compare_shapes, replacing_folder, write_manifest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LICENCE = "CC BY-NC-SA 4.0"
"""Of the published weights: non-commercial use, with attribution, shared alike."""

TOKENIZER = "tokenizer"
"""The folder, beside the weights, of the tokenizer that the text trunk reads with."""


def convert_imagebind(
    source: Path, folder: Path, tokenizer: str | Path | None = None
) -> dict[str, object]:
    """Write a checkpoint's weights as safetensors, with a manifest of origin and licence.

    The weights keep their precision. A folder that is there already is replaced as a whole.

    Args:
        source: a state dict that `torch.save` wrote, as published: `imagebind_huge.pth`.
        folder: where to; what `ImageBind.from_pretrained` opens.
        tokenizer: a Hugging Face folder or name of CLIP's tokenizer, to lie beside the weights;
            texts can't be read without one.

    Returns:
        What the manifest says of the weights.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if the file is damaged, holds more than tensors, or fits no preset; with
            the differences from the nearest one.
        ValueError: if the tokenizer doesn't fit the text trunk.
    """
    weights = read_state_dict(source)
    preset = nearest_preset(weights, str(source))
    with torch.device("meta"):  # the weights come from the file
        model = ImageBind.preset(preset)
    model.load_state_dict(weights, assign=True)
    reader = None if tokenizer is None else _tokenizer(tokenizer, model)
    model.origin = {
        "preset": preset,
        "file": source.name,
        "sha256": file_hash(source),
        "licence": LICENCE,
        "commercial_use": False,
    }
    with replacing_folder(folder) as temporary:
        model.save_pretrained(temporary)
        if reader is not None:
            reader.save_pretrained(temporary / TOKENIZER)
        write_manifest(temporary, {PART: model.origin})
    return model.origin


def read_state_dict(source: Path, inside: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote; no code in it runs.

    `inside` are keys under which they may stand, beside what else a training saved.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is damaged, or holds anything but tensors by name.
    """
    if not source.is_file():
        raise FileNotFoundError(2, "no such file; give the checkpoint itself", str(source))
    try:
        # A file of the current format is mapped, so that it needn't fit into memory twice.
        state = torch.load(
            source, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(source)
        )
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{source} is no torch checkpoint, or it holds more than tensors, which could run code "
            "when read; download it from its publisher again"
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError):
        raise CheckpointError(
            f"{source} is damaged or cut short; download it from its publisher again"
        ) from None
    for key in inside:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f"{source} holds no mapping of names to tensors; give the state dict as published"
        )
    return dict(state)


def nearest_preset(weights: Mapping[str, Tensor], where: str) -> str:
    """The preset whose names and shapes the weights have.

    Raises:
        CheckpointError: if none fits; with the differences from the nearest.
    """
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    states = {}
    for name in PRESETS:
        with torch.device("meta"):
            states[name] = ImageBind.preset(name).state_dict()

    def alike(name: str) -> int:
        return sum(shapes.get(key) == tuple(value.shape) for key, value in states[name].items())

    best = max(states, key=alike)
    compare_shapes(weights, states[best], f"{where}, taken for ImageBind's preset {best!r}: it")
    return best


def _tokenizer(name: str | Path, model: ImageBind) -> PreTrainedTokenizerBase:
    """A tokenizer whose ids the text trunk has."""
    # transformers takes seconds to import and only text needs it.
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(name))
    except OSError:
        raise ValueError(
            f"no tokenizer at {str(name)!r}; give a folder or a Hugging Face name that has one, "
            "as openai/clip-vit-large-patch14"
        ) from None
    size = model.config["trunks"]["text"]["vocab_size"]
    if tokenizer.eos_token_id != size - 1 or len(tokenizer) != size:
        raise ValueError(
            f"the tokenizer of {str(name)!r} has {len(tokenizer)} ids and its end token "
            f"{tokenizer.eos_token_id}, but the text trunk has {size} and reads at the last; "
            "give CLIP's, as openai/clip-vit-large-patch14"
        )
    return tokenizer


def file_hash(path: Path) -> str:
    """A file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
