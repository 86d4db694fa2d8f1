"""The content of held-out data, by which figures of other data are told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from anymodal.media import Media
from anymodal.training.batches import seed_all
from anymodal.training.validation.configuration import LOSS, ValidationConfig
from anymodal.training.validation.held_out import HeldOut

MAX_LOOKED_AT = 16
"""Samples of a data set whose content is looked at, spread evenly over it."""


def measure_of(
    settings: ValidationConfig, held_out: HeldOut, batch_size: int, seed: int
) -> dict[str, str]:
    """Fingerprints of the data and questions of the deciding figure, by the setting of each.

    Args:
        settings: of the validation.
        held_out: its data, and what is asked.
        batch_size: samples in a batch.
        seed: of the run.
    """
    # Of one data set's figure, that one alone.
    names = [name for name in held_out.sources if settings.monitor.startswith(f"{name}/")]
    sources = {name: held_out.sources[name] for name in names or held_out.sources}
    prints = {name: fingerprint(each, seed) for name, each in sources.items()}
    measure = {"data": json.dumps(prints, sort_keys=True)}
    most = (settings.batches or 0) * batch_size
    measure["batches"] = str(most) if 0 < most < max(map(len, sources.values())) else "all"
    if LOSS not in settings.monitor.split("/") and held_out.questions is not None:
        measure["samples"] = fingerprint(held_out.questions.samples, seed)
        for name in ("settings", "metrics"):
            measure[name] = json.dumps(getattr(settings, name), sort_keys=True, default=repr)
    return measure


def fingerprint(data: Sequence[Any], seed: int) -> str:
    """A hash of a data set's size and of some of its samples, the same wherever its files lie.

    Args:
        data: samples by index; one that can't be read counts by its kind of error.
        seed: of what samples draw.
    """
    size = len(data)
    count = min(size, MAX_LOOKED_AT)
    digest = hashlib.sha256(str(size).encode())
    with isolate_rng():
        for place in range(count):
            index = place * size // count
            seed_all(seed, index)
            for piece in _sample_pieces(data, index):
                digest.update(piece + b"\0")
    return digest.hexdigest()[:16]


def _sample_pieces(data: Sequence[Any], index: int) -> list[bytes]:
    try:
        return [*_pieces(data[index])]  # which decodes media, and some of them may be broken
    except Exception as error:  # a class of a user's own may raise anything
        return [*_pieces(type(error).__name__)]


def _pieces(value: object) -> Iterator[bytes]:
    """The content of a sample, whatever it is made of; of objects of unknown kinds their class."""
    if isinstance(value, Media):
        yield value.digest().encode()
    elif isinstance(value, str | int | float | bool | None):
        yield repr(value).encode("utf-8", "backslashreplace")
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, Tensor):
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, np.ndarray):
        yield value.tobytes()
    elif isinstance(value, Mapping):
        yield from _pieces([*value.items()])
    elif isinstance(value, list | tuple):
        yield str(len(value)).encode()
        for each in value:
            yield from _pieces(each)
    else:
        yield type(value).__name__.encode()
        if is_dataclass(value):
            yield from _pieces([getattr(value, field.name) for field in fields(value)])
