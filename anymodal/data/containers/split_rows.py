"""The rows of a table whose media lie in the folder of one split."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from anymodal.data.containers.base import Row, RowSource
from anymodal.data.containers.files import DataFile
from anymodal.data.containers.folders import NAMES_FILES, SPLITS
from anymodal.data.containers.side_files import side_file


class SplitRows(RowSource):
    """Rows of a table beside folders named after splits, such as `train/0.png` under `file_name`.

    Which rows they are is found once and kept beside the table. A row that can't be read is of
    every split, so that it is told.

    Args:
        rows: all rows of the table.
        split: the one that is meant.
        index_dir: a folder for the list of rows, instead of one beside the table.

    Raises:
        ValueError: if no row names a file of that split.
    """

    def __init__(self, rows: RowSource, split: str, index_dir: str | Path | None = None) -> None:
        self.rows, self.split = rows, SPLITS.get(split.lower(), split)
        self.container, self.folder = rows.container, rows.folder
        self.broken, self.labels, self.media_columns = rows.broken, rows.labels, rows.media_columns
        self._numbers = self._open_numbers(index_dir)

    def _open_numbers(self, index_dir: str | Path | None) -> NDArray[np.int64]:
        def write(path: Path) -> None:
            numbers = self._find()  # before the file is opened, since it may raise
            with path.open("wb") as file:
                np.save(file, numbers)

        stamp = DataFile.of(self.rows.files[0]).stamp
        try:
            path = side_file(stamp, f".{self.split}.npy", write, index_dir)
        except OSError:  # nothing can be written anywhere
            return self._find()
        numbers: NDArray[np.int64] = np.load(path, mmap_mode="r")
        return numbers

    def _find(self) -> NDArray[np.int64]:
        numbers, others = list[int](), set[str]()
        for number in range(len(self.rows)):
            try:
                split = split_of_row(self.rows.read(number))
            except ValueError:
                split = self.split
            if split == self.split:
                numbers.append(number)
            else:
                others.add(split)
        if not numbers:
            table = Path(self.rows.files[0])
            names = ", ".join(sorted(others - {""})) or "none"
            raise ValueError(
                f"{table} names no file in a folder of the split {self.split!r}; its files lie in "
                f"{names}. Choose one of these, write a table for each split, as "
                f"{table.parent / self.split / table.name}, or leave split out"
            )
        return np.array(numbers, np.int64)

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, index: int) -> Row:
        return self.rows.read(int(self._numbers[index]))

    def place(self, index: int) -> str:
        return self.rows.place(int(self._numbers[index]))

    def home(self, index: int) -> Path:
        return self.rows.home(int(self._numbers[index]))

    def size(self, index: int) -> int:
        return self.rows.size(int(self._numbers[index]))

    def keep_texts(self, columns: Sequence[str]) -> None:
        self.rows.keep_texts(columns)

    def stamp(self, index: int) -> Hashable:
        return self.rows.stamp(int(self._numbers[range(len(self))[index]]))

    @property
    def files(self) -> list[str]:
        return self.rows.files


def split_of_row(row: Row) -> str:
    """The split that the folders of a row's files tell, or the outermost of them; "" for none."""
    for name in _file_names(row):
        folders = PurePosixPath(name).parent.parts
        if folders:
            return next((SPLITS[each.lower()] for each in folders if each.lower() in SPLITS),
                        folders[0])  # fmt: skip
    return ""


def _file_names(row: Row) -> Iterator[str]:
    for column, value in row.items():
        if NAMES_FILES.fullmatch(column):
            names: Sequence[object] = value if isinstance(value, list) else [value]
            yield from (name for name in names if isinstance(name, str))
