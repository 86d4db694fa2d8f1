"""The contract of a data set: samples by index, and stamps that tell when one has changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Generic, TypeVar

SampleT_co = TypeVar("SampleT_co", covariant=True)


class Source(ABC, Generic[SampleT_co]):
    """Samples of a data set, of which an index always means the same.

    A run needs no more of its data than `__len__` and `__getitem__`, so that a batch depends on the
    seed and its number alone; a list or a `torch.utils.data.Dataset` will do. A source opens its
    files lazily and holds none of its samples.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples in an epoch."""

    @abstractmethod
    def __getitem__(self, index: int, /) -> SampleT_co:
        """The sample of an index, from the end where it is negative.

        Raises:
            IndexError: beyond either end.
            OSError: if a file can't be read.
            ValueError: if the sample isn't what it should be, with its place.
        """

    @abstractmethod
    def stamp(self, index: int) -> Hashable:
        """A value that changes when the sample's file does, without reading the sample.

        It is of the file that holds the row, not of media files that the row names.
        """
