"""Batches of items under a progress bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def batches_of(items: Sequence[T], size: int, label: str) -> Iterator[tuple[int, Sequence[T]]]:
    """Batches with the index of their first item, under a progress bar with a label."""
    with tqdm(total=len(items), desc=label, leave=False) as bar:
        for start in range(0, len(items), size):
            batch = items[start : start + size]
            yield start, batch
            bar.update(len(batch))
