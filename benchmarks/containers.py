"""Opening data sets of many rows, and reading rows of theirs at random.

Every container holds the same captions. A data set is opened in a process of its own: first without
an index, then with the one that this left. Peak memory is what opening, or reading, adds to a
process that has imported what it needs.

    OMP_NUM_THREADS=1 python benchmarks/containers.py
"""

from __future__ import annotations

import io
import json
import random
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measure

from anymodal.data.containers import open_rows
from anymodal.io.results import markdown_table
from anymodal.tools.dataset.writers import write_arrow, write_lines, write_list, write_table

READS = 10_000


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows of about 550 bytes."""
    for number in range(count):
        asked = f"<image>\nWhat is to be seen in this picture? {'word ' * 40}"
        said = f"Picture {number}: {'a picture ' * 15}"
        turns = [{"from": "human", "value": asked}, {"from": "gpt", "value": said}]
        yield {"image": f"{number:08d}.png", "conversations": turns}


def write_shard(path: Path, count: int) -> None:
    """A shard of small files."""
    with tarfile.open(path, "w") as archive:
        for number, row in enumerate(rows(count)):
            for suffix, data in (("png", b"\x89PNG"), ("json", json.dumps(row).encode())):
                info = tarfile.TarInfo(f"{number:08d}.{suffix}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def write(path: Path, count: int) -> None:
    """A data set, in the container that its name says."""
    if path.suffix == ".tar":
        write_shard(path, count)
    elif path.suffix == ".csv":
        write_table(path, rows(count), ["image", "conversations"])
    elif path.suffix in (".parquet", ".arrow"):
        write_arrow(path, rows(count))
    else:
        (write_list if path.suffix == ".json" else write_lines)(path, rows(count))


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Seconds of some work, and the memory (MB) that it takes at its peak."""
    measure.seconds()  # which imports torch
    before = measure.peak_memory(lambda: None)
    took: list[float] = []

    def timed() -> None:
        start = measure.seconds()
        work()
        took.append(measure.seconds() - start)

    peak = measure.peak_memory(timed)
    return {"seconds": took[0], "mb": peak - before}


def opening(path: Path, small: Path) -> dict[str, float]:
    """Opening a data set, after a small one, so that the code is there."""
    open_rows(small)[0]
    return measured(lambda: open_rows(path))


def reading(path: Path, reads: int) -> dict[str, float]:
    """Reading rows at random, once a data set is open."""
    source = open_rows(path)
    places = random.Random(0).choices(range(len(source)), k=reads)
    source[0]

    def read() -> None:
        for place in places:
            source[place]

    return measured(read)


def main() -> None:
    """Measure each container, and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=1_000_000, help="of JSON Lines, once more")
    args = parser.parse_args()
    sizes = dict.fromkeys(("jsonl", "json", "csv", "parquet", "arrow", "tar"), args.rows)
    reads = min(READS, args.rows)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for name, count in [*sizes.items(), ("jsonl", args.lines)]:
            path = Path(folder) / f"{count}.{name}"
            write(path, count)
            small = Path(folder) / f"small.{name}"
            write(small, 4)
            results = [measure.apart(lambda p=path, s=small: opening(p, s)) for _ in range(2)]
            read = measure.apart(lambda path=path: reading(path, reads))
            cells = [f"{r['seconds']:.2f} s, {r['mb']:.0f} MB" for r in results]
            each = f"{1e6 * read['seconds'] / reads:.0f} µs, {read['mb']:.0f} MB"
            size = f"{path.stat().st_size / 1e6:.0f} MB"
            table.append([f".{name}", f"{count:,}", size, *cells, each])
            path.unlink()
            small.unlink()
            shutil.rmtree(Path(folder) / ".anymodal", ignore_errors=True)
    head = ["container", "rows", "file", "first opening", "opening", "a row at random"]
    body = f"The library as of commit {measure.library_commit()}.\n\n{markdown_table(head, table)}"
    measure.write_section("containers", body, args.page)


if __name__ == "__main__":
    main()
