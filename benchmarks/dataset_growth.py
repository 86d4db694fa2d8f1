"""Time and memory of training from a cache, as the data set grows from 10³ to 10⁵ items.

A frozen part's small results fill a cache, and training reads them from it, item by item in the
order of `Batches`, through the code of `anymodal train`. What trains is one linear layer, so that
what a step takes beside the loop itself is finding what it needs.

A second table has a look for a batch that isn't in the cache, which other processes may have
written meanwhile, by the number of segments that they and earlier runs have left; and the first
look of a run, which merges those that nobody writes any more.

    OMP_NUM_THREADS=1 python benchmarks/dataset_growth.py
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import measure
import torch
from torch import Tensor, nn

from anymodal.io.feature_cache import CacheKey, FeatureCache
from anymodal.io.results import markdown_table
from anymodal.io.tensor_store import TensorStore
from anymodal.training.losses import Loss, WeightedLoss
from anymodal.training.objectives import Objective
from anymodal.training.precision import allow_tf32
from anymodal.training.run import train_model

SIZES = (1_000, 10_000, 100_000)
SHAPE = (4, 16)  # tokens and width of what is kept of an item: 256 bytes
BATCH = 32
SECTION = "0" * 32


class Items:
    """Samples that are their numbers."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        return index


class Square(Loss[list[int], Tensor]):
    """The mean square of what is read."""

    def count(self, batch: list[int]) -> dict[str, int]:
        return {"": len(batch)}

    def __call__(self, batch: list[int], states: Tensor) -> list[WeightedLoss]:
        return [WeightedLoss(states.square().mean(), len(batch))]


class Network(nn.Module):
    """A frozen part, which stands for results that are drawn, and a layer that learns from them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frozen, self.layer = nn.Linear(1, 1), nn.Linear(SHAPE[1], 1)


class Reader(Objective[int, list[int]]):
    """Learns from what a frozen part gives, which is cached; draws it where it isn't."""

    model: Network

    def __init__(self) -> None:
        super().__init__(Network(), {"square": Square})
        self.model.frozen.requires_grad_(False)
        self.num_draws = 0
        self.starts: list[float] = []

    def collate(self, samples: Sequence[int]) -> list[int]:
        return list(samples)

    def precompute(self, batch: Sequence[int]) -> None:
        self.read(batch)

    def read(self, batch: Sequence[int]) -> Tensor:
        """The frozen part's results."""

        def draw(some: list[int]) -> list[Tensor]:
            self.num_draws += len(some)
            return [torch.randn(len(some), *SHAPE)]

        key = CacheKey("features", (self.model.frozen,), self._metadata)
        return self.cached(key, batch, lambda n: f"item {n}", draw)[0]

    def _metadata(self) -> dict[str, object]:
        return {}

    def states(self, batch: list[int]) -> Tensor:
        self.starts.append(measure.seconds())
        output: Tensor = self.model.layer(self.read(batch))
        return output

    def save_pretrained(self, folder: str | Path) -> None:
        raise NotImplementedError("nobody reads it")


def fill(folder: Path, size: int) -> dict[str, Any]:
    """Fill a cache; seconds an item."""
    allow_tf32()  # as a run does: a result's key has the precision that it was computed in
    model = Reader()
    model.feature_cache = FeatureCache(folder=folder)
    start = measure.seconds()
    for first in range(0, size, 256):
        model.precompute(range(first, min(size, first + 256)))
    return {"seconds": (measure.seconds() - start) / size}


def open_cache(folder: Path, size: int) -> dict[str, Any]:
    """Seconds until the first item of a filled cache is there."""
    allow_tf32()
    model = Reader()
    model.feature_cache = FeatureCache()
    model.precompute([0])  # what is loaded at the first call, and the hash of the code
    start = measure.seconds()
    cache, before = FeatureCache(folder=folder), model.feature_cache
    cache._contents, cache._modules = before._contents, before._modules
    model.feature_cache = cache
    model.num_draws = 0
    model.precompute([size - 1])
    assert not model.num_draws, "the cache has every item"
    return {"seconds": measure.seconds() - start}


def train_from_cache(folder: Path, size: int, steps: int) -> dict[str, Any]:
    """Train from a filled cache; seconds a step, and the memory (MB) that is the process's own."""
    before, model = own_memory(), Reader()
    train_model(
        model,
        Items(size),
        losses={"square": 1.0},
        trainable=["layer.*"],
        steps=steps,
        batch_size=BATCH,
        feature_cache={"dir": str(folder)},
        trainer={"accelerator": "cpu", "enable_progress_bar": False},
    )
    assert not model.num_draws, "the cache has every item"
    times = torch.tensor(model.starts).diff()[5:]
    return {"seconds": float(times.median()), "own_mb": own_memory() - before}


def miss(folder: Path, count: int, looks: int = 200) -> dict[str, Any]:
    """Seconds of a look for a batch that isn't there, among so many segments of other processes."""
    keys = [str(number) for number in range(BATCH)]
    for number in range(count):
        TensorStore(folder).add(SECTION, {f"of process {number}": (torch.zeros(SHAPE),)})
    store = TensorStore(folder)
    store.find(SECTION, keys)
    start = measure.seconds()
    for _ in range(looks):
        assert not store.find(SECTION, keys)
    seconds = (measure.seconds() - start) / looks
    hour_ago = time.time() - 3600
    for path in folder.rglob("*.*"):
        os.utime(path, (hour_ago, hour_ago))
    start = measure.seconds()
    assert TensorStore(folder).find(SECTION, ["of process 0"])
    merging = measure.seconds() - start
    return {"seconds": seconds, "merging": merging, "left": len(list(folder.rglob("*.data")))}


def own_memory() -> float:
    """Memory (MB) that isn't a file's: pages of mapped files are the system's to take back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def main() -> None:
    """Measure every size in turn, and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--segments", type=int, nargs="+", default=(1, 32, 512))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folders = {size: Path(temporary) / str(size) for size in args.sizes}
        filling = {size: measure.apart(partial(fill, folders[size], size)) for size in args.sizes}
        opening: dict[int, list[dict[str, Any]]] = {size: [] for size in args.sizes}
        training: dict[int, list[dict[str, Any]]] = {size: [] for size in args.sizes}
        for run in range(args.runs):
            for size in measure.turns(folders, run):
                opening[size].append(measure.apart(partial(open_cache, folders[size], size)))
                task = partial(train_from_cache, folders[size], size, args.steps)
                training[size].append(measure.apart(task))
    rows = []
    for size in args.sizes:
        first, mine = training[args.sizes[0]], training[size]
        own, peak = (median(run[key] for run in mine) for key in ("own_mb", "peak_mb"))
        rows.append(
            [
                f"{size:,}",
                f"{1e6 * filling[size]['seconds']:.0f}",
                measure.spread([run["seconds"] for run in opening[size]], 1, 1e3),
                measure.spread([run["seconds"] for run in mine], 2, 1e3),
                measure.spread(
                    [a["seconds"] / b["seconds"] for a, b in zip(mine, first, strict=True)], 3
                ),
                f"{own:.1f}",
                f"{peak:.1f}",
            ]
        )
    header = ["items", "filling, µs each", "opening ms", "a step ms", "to the first row",
              "own MB", "peak MB"]  # fmt: skip
    measure.write_section("dataset growth", markdown_table(header, rows), args.page)
    measure.write_section("segments", _segments_table(args.segments, args.runs), args.page)


def _segments_table(counts: Sequence[int], runs: int) -> str:
    taken: dict[int, list[dict[str, Any]]] = {count: [] for count in counts}
    for run in range(runs):
        for count in measure.turns(taken, run):
            with tempfile.TemporaryDirectory() as folder:
                taken[count].append(measure.apart(partial(miss, Path(folder), count)))
    rows = [
        [
            str(count),
            measure.spread([run["seconds"] for run in mine], 3, 1e3),
            measure.spread([run["merging"] for run in mine], 1, 1e3),
            str(max(run["left"] for run in mine)),
        ]
        for count, mine in taken.items()
    ]
    return markdown_table(["segments", "a batch of 32 misses ms", "first look ms", "left"], rows)


if __name__ == "__main__":
    main()
