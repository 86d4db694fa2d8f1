"""Batches in an order that depends on the seed and the batch's number alone."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from anymodal.data.mixture import epoch_size
from anymodal.training.left_out import LeftOut

SPARES = 10
"""Samples tried in place of one that can't be used; more of them in a row end a run."""


def _lengths(data: object) -> Callable[[int], float] | None:
    """The data's length of a sample by index, in any unit, if it has one without reading it."""
    # Asked of the object: a mixture has lengths only where all its data sets have.
    length: Callable[[int], float] | None = getattr(data, "length", None)
    return length


class Batches(IterableDataset[Any]):
    """Endless collated batches, epoch after epoch, each a new permutation of the data.

    Of data with `draws(seed, epoch)`, as a mixture's, an epoch is a permutation of these.

    Batch k is the same whatever came before it, so a run resumes by starting at batch k; the
    workers take turns.

    Args:
        data: samples by index.
        collate: samples to a batch, on the CPU.
        batch_size: samples in a batch.
        seed: of the permutations.
        start: asked for the number of the first batch when iteration begins.
        every: 1 for all batches from there, n for every n-th, as in each of n processes.
        length_group_batches: so many batches of an epoch have their samples sorted by
            `data.length(index)` and dealt to them in that order, so that each holds samples of
            about one length; the optimiser steps then come shuffled.
        step_batches: batches of an optimiser step, over all processes. They are dealt as one, so
            that a step has the same samples however many share its work.
        left_out: a file that lists the samples that can't be used; None for none.

    Raises:
        ValueError: if there is no data, or no `length` where samples are to be grouped by it.
    """

    def __init__(
        self,
        data: Sequence[Any],
        collate: Callable[[list[Any]], Any],
        batch_size: int,
        seed: int,
        start: Callable[[], int] = lambda: 0,
        every: int = 1,
        length_group_batches: int = 1,
        step_batches: int = 1,
        left_out: Path | None = None,
    ) -> None:
        if len(data) == 0:
            raise ValueError("the data set is empty; check its path and filters")
        if length_group_batches > 1 and _lengths(data) is None:
            raise ValueError(
                f"length_group_batches={length_group_batches} sorts samples by length, which "
                f"{type(data).__name__} doesn't "
                "tell; give it a method length(index), or take length_group_batches=1"
            )
        self.data, self.collate, self.batch_size = data, collate, batch_size
        self.epoch_size = epoch_size(data)
        self.seed, self.start, self.every = seed, start, every
        self.length_group_batches, self.step_batches = length_group_batches, step_batches
        # One epoch's order, not all: batches are asked for in order.
        self._epoch_order = -1, np.empty(0, np.int64)
        self._left_out = LeftOut(left_out)
        self._dealt: tuple[int, list[list[int]]] = (-1, [])  # the last group's batches

    def indices(self, batch: int) -> list[int]:
        """The samples of a batch, by number."""
        if self.length_group_batches == 1:
            return self._indices_of(batch, 1)
        first, count = self._group(batch)
        if self._dealt[0] != first:
            self._dealt = (first, self._deal(first, count))
        return self._dealt[1][batch - first]

    def _group(self, batch: int) -> tuple[int, int]:
        """First batch and number of batches of the group that a batch is dealt in.

        Groups have whole steps, and begin anew where an epoch does: in one that two epochs share, a
        sample could stand beside itself, and an epoch would end with samples that never came.
        """
        size, step = self.step_batches * self.batch_size, batch // self.step_batches
        epoch = step * size // self.epoch_size
        start, end = (-(-each * self.epoch_size // size) for each in (epoch, epoch + 1))  # in steps
        steps = max(1, self.length_group_batches // self.step_batches)
        first = start + (step - start) // steps * steps
        return first * self.step_batches, (min(first + steps, end) - first) * self.step_batches

    def _deal(self, first: int, count: int) -> list[list[int]]:
        indices = self._indices_of(first, count)
        indices.sort(key=_lengths(self.data))
        # The 1 keeps this stream apart from the epochs', which are seeded by (seed, epoch).
        seed = self.seed, first // self.step_batches, 1
        order = np.random.default_rng(seed).permutation(count // self.step_batches)
        starts = (
            (step * self.step_batches + place) * self.batch_size
            for step in order
            for place in range(self.step_batches)
        )
        return [indices[start : start + self.batch_size] for start in starts]

    def _indices_of(self, batch: int, count: int) -> list[int]:
        """The samples of some batches in the order of the permutations."""
        first = batch * self.batch_size
        places = range(first, first + count * self.batch_size)
        return [
            int(self.order(place // self.epoch_size)[place % self.epoch_size]) for place in places
        ]

    def order(self, epoch: int) -> np.ndarray:
        """The samples of an epoch: a permutation of the data, or of what a mixture draws."""
        if self._epoch_order[0] != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(self.epoch_size)
            draws = getattr(self.data, "draws", None)
            if draws is not None:
                order = draws(self.seed, epoch)[order]
            self._epoch_order = epoch, order
        return self._epoch_order[1]

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        step = self.every * (worker.num_workers if worker else 1)
        batch = self.start() + self.every * (worker.id if worker else 0)
        while True:
            # What samples and collating draw depends on the batch alone, as in a worker of its own.
            seed_all(self.seed, batch, 1)
            item: object
            try:
                item = self._collate(self.indices(batch))
            except (OSError, ValueError) as error:
                if worker is None:
                    raise
                # Handed over, for the process that trains to raise: torch would make its message
                # one of the worker's whole traceback.
                error.add_note(traceback.format_exc())
                item = error
            yield item
            batch += step

    def _collate(self, indices: Sequence[int]) -> object:
        """The batch of some samples; for one that can't be used another stands in, with a warning.

        Raises:
            OSError: if a sample can't be read, nor any of `SPARES` that might stand in for it.
            ValueError: if a sample isn't what it should be, nor any of those.
        """
        samples = [self._usable(index) for index in indices]
        try:
            return self.collate(samples)
        except (OSError, ValueError):  # of one of them, or several
            return self.collate([self._usable(index, collates=True) for index in indices])

    def _usable(self, index: int, collates: bool = False) -> object:
        """The sample of a number, or the first after it that can be read (and makes a batch)."""
        first: Exception | None = None
        # Of the same data set of a mixture, so that its share stays as it is.
        bounds = getattr(self.data, "bounds", None)
        start, size = (0, len(self.data)) if bounds is None else bounds(index)
        for place in range(index, index + SPARES + 1):
            number = start + (place - start) % size
            try:
                sample = self.data[number]
                if collates:
                    self.collate([sample])
            except (OSError, ValueError) as error:
                first = first or _with_sample(index, error)
                continue
            if first is not None:
                self._left_out.add(index, first, number)
            return sample
        assert first is not None, "there was one to try"
        raise first


def _with_sample(index: int, error: Exception) -> Exception:
    """An error that names the sample it is of."""
    if isinstance(error, OSError):
        result: Exception = OSError(f"sample {index}: {_file_error(error)}")
    else:
        result = ValueError(f"sample {index}: {error}")
    # Set by hand: the error is raised later, by another process where a worker read the sample.
    result.__cause__ = error
    return result


def _file_error(error: OSError) -> str:
    """An error without its number, and with the file's name as it is."""
    return f"{error.strerror}: {error.filename}" if error.filename else str(error)


def seed_all(seed: int, number: int, use: int = 0) -> None:
    """Seed Python's, NumPy's and torch's random numbers for a batch and one of its uses."""
    # One 64-bit number: the seed and the use in the upper half, the batch in the lower.
    value = (2 * seed + use << 32) + number
    if torch.accelerator.is_available():
        torch.manual_seed(value)
    else:  # by which torch queues a call, with its traceback, for a GPU that never comes
        torch.default_generator.manual_seed(value)
    state = np.random.SeedSequence((seed, number, use)).generate_state(2)
    random.seed(int(state[0]))
    np.random.seed(state[1])
