"""Training runs of a tiny composed model, and what its frozen parts compute meanwhile."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import Tensor

from anymodal.io.tensor_store import TensorStore
from anymodal.training.run import fit, read_run
from tests.support.runs import read_log

SIZE = 5


def write(parts: Path, folder: Path, name: str, **changes: Any) -> Path:
    run = {
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(parts)},
        "data": {"_target_": "tests.support.tiny.conversations"},
        "stage": {
            "trainable": ["projection.*", "heads.*", "language.rows"],
            "losses": {"text": 1, "align": 1},
        },
        "output_dir": str(folder / name),
        "steps": 6,
        "batch_size": SIZE,
        "log_every": 1,
        "trusted_packages": ["tests"],
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
        **changes,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


def losses_of(config: Path) -> list[float]:
    run = read_run(config)
    fit(run)
    return read_log(Path(run.output_dir))


class Calls:
    """Counts the items that frozen parts are asked for, while they do their work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from anymodal.decoders.diffusion import DiffusionDecoder
        from anymodal.encoders import ImageBindEncoder

        self.media = self.captions = self.latents = 0
        forward, embed = ImageBindEncoder.forward, DiffusionDecoder.embed_captions
        both, encode = ImageBindEncoder.features_and_embedding, DiffusionDecoder.encode

        def count_media(encoder: Any, batch: Tensor) -> Any:
            self.media += len(batch)
            return forward(encoder, batch)

        def count_both(encoder: Any, batch: Tensor) -> Any:
            self.media += len(batch)
            return both(encoder, batch)

        def count_captions(decoder: Any, captions: Sequence[str]) -> Any:
            self.captions += len(captions)
            return embed(decoder, captions)

        def count_latents(decoder: Any, batch: Tensor) -> Tensor:
            self.latents += len(batch)
            return encode(decoder, batch)

        monkeypatch.setattr(ImageBindEncoder, "forward", count_media)
        monkeypatch.setattr(ImageBindEncoder, "features_and_embedding", count_both)
        monkeypatch.setattr(DiffusionDecoder, "embed_captions", count_captions)
        monkeypatch.setattr(DiffusionDecoder, "encode", count_latents)

    def take_counts(self) -> tuple[int, int, int]:
        counts = self.media, self.captions, self.latents
        self.media = self.captions = self.latents = 0
        return counts


def leave_free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let every disk have so many bytes free."""
    usage = namedtuple("usage", ["free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(count))


def noting(readers: list[str]) -> Any:
    """`TensorStore.find` that notes which thread calls it."""
    find = TensorStore.find

    def find_and_note(store: TensorStore, part: str, keys: Sequence[str]) -> Any:
        readers.append(threading.current_thread().name)
        return find(store, part, keys)

    return find_and_note
