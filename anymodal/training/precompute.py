"""Fill a run's cache ahead of it, in the run's own batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from tqdm import tqdm

from anymodal.config import ConfigError
from anymodal.data.workers import Loader, num_workers
from anymodal.io.feature_cache import FeatureCache
from anymodal.io.tensor_store import TensorStore
from anymodal.training.batches import Batches
from anymodal.training.building import build
from anymodal.training.configuration import Run
from anymodal.training.data_module import run_batches
from anymodal.training.module import StageModule
from anymodal.training.objectives import Objective
from anymodal.training.precision import allow_tf32, lightning_precision
from anymodal.training.run import read_run
from anymodal.training.trainable import train_mode


def fill_feature_cache(
    path: str | Path,
    overrides: Iterable[str] = (),
    limit: int | None = None,
    share: tuple[int, int] = (1, 1),
    processes: int | None = None,
) -> int:
    """Compute the results of a run's frozen parts for the samples that it will draw.

    The batches are those that the run draws, so results are the same to the bit as those that it
    would have computed. What is there already is read and checked, not computed again.

    Args:
        path: the training configuration; its `feature_cache.dir` names the folder.
        overrides: `key=value` changes to it.
        limit: samples to go through; None for as many as have all that the run draws.
        share: (k, n): of n processes at work on it, this is the k-th, from 1.
        processes: how many the run will have, each of which draws batches of its own; what the
            configuration's trainer says, where not given.

    Returns:
        How many samples were gone through.

    Raises:
        ValueError: if no folder is named, the model has nothing to keep, or the disk is too small.
    """
    run = read_run(path, overrides)
    if run.feature_cache.dir is None:
        raise ConfigError(
            "the run has no folder for its feature cache; name one in the configuration, or by "
            "feature_cache.dir=…"
        )
    objective, data = build(run)
    StageModule(objective, run)  # checks the stage, freezes the rest, opens the cache
    train_mode(objective.model)
    allow_tf32()
    step_batches = run.accumulate_grad_batches * (processes or _processes(run.trainer))
    total = run.steps * step_batches * run.batch_size
    batches = run_batches(run, objective, data)
    count = samples_until_all(batches, total) if limit is None else min(limit, total)
    first, every = share[0] - 1, share[1]
    batches.start, batches.every = lambda: first, every
    batches.step_batches = step_batches
    return _fill(objective, run, batches, range(first, -(-count // run.batch_size), every))


def samples_until_all(batches: Batches, total: int) -> int:
    """The number of samples a run draws until it has drawn each that it ever draws.

    Of a mixture an epoch may have a part of a data set and the next one another part, so epochs are
    gone through until one has nothing new; what comes later the run computes itself.

    Args:
        batches: of the run.
        total: samples that it draws.
    """
    seen = np.zeros(len(batches.data), bool)
    count = 0
    for epoch in range(-(-total // batches.epoch_size)):
        order = batches.order(epoch)[: total - epoch * batches.epoch_size]
        new = np.flatnonzero(~seen[order])
        if not len(new):
            break
        seen[order] = True
        _, firsts = np.unique(order[new], return_index=True)
        count = epoch * batches.epoch_size + int(new[firsts].max()) + 1
        if seen.all():
            break
    return count


def _fill(
    objective: Objective[Any, Any], run: Run, batches: Batches, numbers: Sequence[int]
) -> int:
    """Go through batches of these numbers, which come in their order; how many samples that is."""
    place = {key: run.trainer[key] for key in ("accelerator",) if key in run.trainer}
    fabric = L.Fabric(devices=1, precision=lightning_precision(run.precision), **place)  # type: ignore[arg-type]
    fabric.setup_module(objective.model)
    samples = len(numbers) * run.batch_size
    workers = num_workers(run.workers, batches.data)
    assert objective.feature_cache is not None, "it was opened"
    room = _Room(objective.feature_cache, samples)
    with fabric.autocast(), torch.no_grad(), tqdm(total=samples, unit=" samples") as progress:
        objective.open_cache()
        for _, batch in zip(numbers, Loader(batches, workers), strict=False):
            objective.precompute(batch)
            room.check(run.batch_size)
            progress.update(run.batch_size)
    return samples


def _processes(trainer: Mapping[str, Any]) -> int:
    """The world size that a trainer is configured for; 1 where its launcher decides."""
    devices, nodes = trainer.get("devices", 1), trainer.get("num_nodes", 1)
    count = len(devices) if isinstance(devices, list) else devices
    return int(nodes) * (count if isinstance(count, int) and count > 0 else 1)


class _Room:
    """Refuses to go on where the disk is full, or, by what samples took so far, will be.

    Samples of which all is there tell nothing of the others, so those with something new are what
    is counted. Looked at by the first of them, and whenever twice as many have been seen.

    Args:
        feature_cache: the one that is being filled.
        samples: how many there are in all.
    """

    def __init__(self, feature_cache: FeatureCache, samples: int) -> None:
        self.feature_cache, self.samples = feature_cache, samples
        self.num_samples, self.num_computed, self.computed_bytes, self.next = 0, 0, 0, 0

    def check(self, count: int) -> None:
        """Count a batch's samples in, and raise where the rest won't fit."""
        store = self.feature_cache.store
        assert isinstance(store, TensorStore), "a folder was named"
        self.num_samples += count
        if self.feature_cache.computed_bytes > self.computed_bytes:
            self.num_computed, self.computed_bytes = (
                self.num_computed + count,
                self.feature_cache.computed_bytes,
            )
        if store.failure is None and (not self.num_computed or self.num_samples < self.next):
            return
        self.next = 2 * self.num_samples
        there = sum(map(store.size, self.feature_cache.sections))
        free = store.free()
        advice = (
            "make room, raise feature_cache.max_gb where it is set, name another folder "
            "(feature_cache.dir=…) or fewer samples (--limit)"
        )
        if store.failure is not None:
            raise OSError(
                f"{store.folder} can't be written any more ({store.failure.strerror}): "
                f"{_size_text(there)} are kept and {_size_text(free)} free; {advice}, then run it "
                "again to go on"
            )
        # An upper bound: some of the samples to come may be in the cache already.
        to_come = self.computed_bytes * max(0, self.samples - self.num_samples) // self.num_computed
        tqdm.write(
            f"{store.folder}: up to {_size_text(to_come)} to come, {_size_text(there)} there"
        )
        if to_come > free:
            raise ValueError(
                f"{store.folder} would take up to {_size_text(to_come)} more than the "
                f"{_size_text(there)} there, and has room for {_size_text(free)}; {advice}"
            )


def _size_text(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
