"""Files of a pipeline of diffusers, by its index alone."""

from __future__ import annotations

import json

from anymodal.io.folder_check import MAX_PARSED, read_text_file
from anymodal.io.sources import INDEX, WEIGHTS, check_files, folder_of

SETTINGS = (
    *("config.json", "scheduler_config.json", "tokenizer_config.json", "tokenizer.json"),
    *("preprocessor_config.json", "vocab.json"),
)
"""Files in which a part of a pipeline may have its settings."""

DIFFUSERS_WEIGHTS = [
    f"diffusion_pytorch_model.{end}{index}"
    for end in ("safetensors", "bin")
    for index in ("", INDEX)
]
"""Files in which a network of diffusers may have its weights."""


def is_complete(name: str, revision: str | None) -> bool:
    """Return True if a pipeline's files are all on this machine; opening it tells what is amiss.

    Args:
        name: a folder, or a repository on the hub.
        revision: of the repository.
    """
    folder = folder_of(name, revision)
    if folder is None:
        return False
    try:
        index = json.loads(read_text_file(folder / "model_index.json", MAX_PARSED))
        parts = [part for part, kind in index.items() if isinstance(kind, list) and kind[0]]
        files = [[f"{part}/{file}" for file in SETTINGS] for part in parts]
        files += [
            [f"{part}/{file}" for file in (*DIFFUSERS_WEIGHTS, *WEIGHTS)]
            for part in parts
            if (folder / part / "config.json").exists()  # a network; others have no weights
        ]
        check_files("pipeline", name, revision, files)
    except (OSError, ValueError, TypeError, AttributeError):
        return False
    return True
