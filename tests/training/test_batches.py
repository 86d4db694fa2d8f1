"""Batches depend on the seed and their number alone."""

from __future__ import annotations

import pytest

from anymodal.data.workers import Loader
from anymodal.training.batches import Batches


def test_batches_depend_on_seed_and_number_alone() -> None:
    def first(start: int, count: int, seed: int = 0) -> list[list[int]]:
        batches = iter(Batches(range(7), list, 3, seed, lambda: start))
        return [next(batches) for _ in range(count)]

    straight = first(0, 14)
    assert first(5, 9) == straight[5:] and first(0, 14, seed=1) != straight
    for epoch in range(6):
        flat = [index for batch in straight for index in batch][7 * epoch : 7 * (epoch + 1)]
        assert sorted(flat) == list(range(7))
    with pytest.raises(ValueError, match="the data set is empty"):
        Batches([], list, 3, 0)


def test_workers_take_turns() -> None:
    def some(workers: int) -> list[list[int]]:
        found = iter(Loader(Batches(range(7), list, 2, 0, lambda: 3), workers))
        return [next(found) for _ in range(4)]

    assert some(2) == some(0)
