"""Held-out batches: the same at every validation, without the samples that can't be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from torch.utils.data import IterableDataset, get_worker_info

from anymodal.training.batches import seed_all


class HeldOutBatch(NamedTuple):
    """One batch of a held-out data set.

    Args:
        batch: from the objective's `collate`; None if no sample of it can be used.
        errors: of samples that can't be used, by number.
        counts: False for one that only keeps processes in step.
    """

    batch: Any
    errors: dict[int, str]
    counts: bool = True


class HeldOutBatches(IterableDataset[HeldOutBatch]):
    """Batches of a data set in its order, each once, for one of several processes.

    Args:
        data: samples by index.
        collate: samples to a batch, on the CPU.
        batch_size: samples in a batch.
        limit: the most batches; their samples are spread evenly over the data. None for all.
        seed: of what samples and collating draw.
        rank: the number of this process.
        processes: how many take turns; each has the same number of batches.

    Raises:
        ValueError: if there is no data.
    """

    def __init__(
        self,
        data: Sequence[Any],
        collate: Callable[[list[Any]], Any],
        batch_size: int,
        limit: int | None,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        if len(data) == 0:
            raise ValueError("validation.data is empty; check its path and filters")
        self.data, self.collate, self.batch_size, self.seed = data, collate, batch_size, seed
        count = len(data) if limit is None else min(len(data), limit * batch_size)
        # Evenly, since files often lie in the order of their classes.
        self.indices = [place * len(data) // count for place in range(count)]
        self.count = -(-count // batch_size)  # batches of all processes
        rounds = -(-self.count // processes)
        # Beyond the last they begin anew, so that all processes meet as often.
        self.numbers = [turn * processes + rank for turn in range(rounds)]

    def __iter__(self) -> Iterator[HeldOutBatch]:
        worker = get_worker_info()
        first, every = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in self.numbers[first::every]:
            seed_all(self.seed, number, 1)
            start = number % self.count * self.batch_size
            batch = self._batch(self.indices[start : start + self.batch_size])
            yield batch if number < self.count else HeldOutBatch(batch.batch, {}, counts=False)

    def _batch(self, indices: Sequence[int]) -> HeldOutBatch:
        errors: dict[int, str] = {}
        samples = {index: self._sample(index, errors) for index in indices}
        usable = {index: sample for index, sample in samples.items() if index not in errors}
        try:
            return HeldOutBatch(self.collate([*usable.values()]) if usable else None, errors)
        except Exception:  # of one of them, or several: whatever it is, the run goes on
            usable = {i: s for i, s in usable.items() if self._collates([s], [i], errors)}
        if usable and self._collates([*usable.values()], [*usable], errors):
            return HeldOutBatch(self.collate([*usable.values()]), errors)
        return HeldOutBatch(None, errors)

    def _sample(self, index: int, errors: dict[int, str]) -> object:
        try:
            return self.data[index]
        except Exception as error:  # a class of a user's own may raise anything
            errors[index] = f"{type(error).__name__}: {error}"
            return None

    def _collates(self, samples: list[Any], indices: Sequence[int], errors: dict[int, str]) -> bool:
        try:
            self.collate(samples)
        except Exception as error:
            errors.update(dict.fromkeys(indices, f"{type(error).__name__}: {error}"))
            return False
        return True
