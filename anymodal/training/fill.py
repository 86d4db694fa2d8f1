"""Fill a run's cache ahead of it, in the run's own batches."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import lightning as L
import torch
from tqdm import tqdm

from anymodal.config import ConfigError
from anymodal.keep import Kept
from anymodal.shards import Shards
from anymodal.training.data import Batches, loader
from anymodal.training.module import StageModule
from anymodal.training.run import build, read_run
from anymodal.training.stage import train_mode


def fill(
    path: str | Path,
    overrides: Iterable[str] = (),
    limit: int | None = None,
    share: tuple[int, int] = (1, 1),
) -> int:
    """Compute and keep what a run's frozen parts make of the samples that it will draw.

    The batches are those that the run draws, so results are the same to the bit as those that it
    would have computed. What is there already is read and checked, not computed again.

    Args:
        path: the training configuration; its `cache` names the folder.
        overrides: `key=value` changes to it.
        limit: samples to go through; None for all that the run draws, each once.
        share: (k, n): of n processes at work on it, this is the k-th, from 1.

    Returns:
        How many samples were gone through.

    Raises:
        ValueError: if no folder is named, the model has nothing to keep, or the disk is too small.
    """
    run = read_run(path, overrides)
    if run.cache is None:
        raise ConfigError("the run has no cache; name a folder in the configuration or by cache=…")
    model, data = build(run)
    StageModule(model, run)  # checks the stage, freezes the rest and opens the cache
    if not hasattr(model, "keep"):
        raise ConfigError(f"{type(model).__name__} has no frozen part whose results are kept")
    train_mode(model)
    place = {key: run.trainer[key] for key in ("accelerator",) if key in run.trainer}
    fabric = L.Fabric(devices=1, precision=run.precision, **place)  # type: ignore[arg-type]
    fabric.setup_module(model)
    drawn = run.steps * run.accumulate * run.batch_size
    count = min(len(data), drawn if limit is None else limit)
    first, every = share[0] - 1, share[1]
    numbers = range(first, -(-count // run.batch_size), every)
    batches = Batches(data, model.collate, run.batch_size, run.seed, lambda: first, every)
    samples = len(numbers) * run.batch_size
    with fabric.autocast(), torch.no_grad(), tqdm(total=samples, unit=" samples") as progress:
        for number, batch in zip(numbers, loader(batches, run.workers), strict=False):
            model.keep(batch)
            _check_room(model.kept, count, run.batch_size if number == first else 0)
            progress.update(run.batch_size)
    return samples


def _check_room(kept: Kept, samples: int, seen: int) -> None:
    """Refuse to go on where the disk is full, or, by the first `seen` of all samples, will be."""
    store = kept.store
    assert isinstance(store, Shards), "a folder was named"
    if not seen and store.failure is None:
        return
    there = sum(map(store.bytes_kept, kept.parts))
    free = shutil.disk_usage(store.folder).free
    advice = "make room, name another folder (cache=…) or fewer samples (--limit)"
    if store.failure is not None:
        raise OSError(
            f"{store.folder} can't be written any more ({store.failure.strerror}): {_told(there)} "
            f"are kept and {_told(free)} free; {advice}, then run it again to go on"
        )
    wanted = kept.size * samples // seen
    tqdm.write(f"{store.folder}: up to {_told(wanted)}, {_told(there)} of them there")
    if wanted - there > free:
        raise ValueError(
            f"{store.folder} would take up to {_told(wanted)}, of which {_told(there)} are there, "
            f"and its disk has {_told(free)} free; {advice}"
        )


def _told(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
