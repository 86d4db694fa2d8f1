"""Embedding clips: `anymodal embed` with its workers beside a bare loop in one process.

Clips are MP4 of 5 s at 640×360, and the shipped model embeds them. Both sides make batches of the
same files, and have to give the same bits. Times are the clock's, since several processors work.

    OMP_NUM_THREADS=1 python benchmarks/embedding.py
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import measure
import numpy as np
import torch
from real_files import write_mp4

from anymodal import media
from anymodal.encoders import Encoder
from anymodal.io.results import markdown_table
from anymodal.tools.embed.opening import open_encoders
from anymodal.tools.embed.run import embed_files

BAR = 1.8


class Watch:
    """The clock, and the processor's time of this process and of workers that have ended."""

    def __init__(self) -> None:
        self.start = self._now()

    def _now(self) -> dict[str, float]:
        workers = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = workers.ru_utime + workers.ru_stime
        return {"clock": time.perf_counter(), "main": time.process_time(), "workers": used}

    def taken(self) -> dict[str, float]:
        """Seconds since the start."""
        return {name: value - self.start[name] for name, value in self._now().items()}


@torch.inference_mode()
def bare_loop(paths: Sequence[Path], encoder: Encoder, out: Path, batch: int) -> dict[str, float]:
    """The loop that is easily written: load, prepare, encode a batch, one after the other."""
    watch = Watch()
    rows = []
    for first in range(0, len(paths), batch):
        items = [media.load(path) for path in paths[first : first + batch]]
        prepared = torch.stack([encoder.prepare(item) for item in items])
        rows.append(encoder.embed(prepared).numpy())
    np.save(out, np.concatenate(rows))
    return watch.taken()


def embedded(
    paths: Sequence[Path], encoder: Encoder, out: Path, batch: int, workers: int | None
) -> dict[str, float]:
    """The run of `anymodal embed`, once the model is open."""
    watch = Watch()
    embed_files(paths, {"video": encoder}, out, batch=batch, workers=workers)
    return watch.taken()


def main() -> None:
    """Measure in alternating runs, and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each; default: %(default)s")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    encoder = open_encoders("nano")["video"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "clips").mkdir()
        random = np.random.default_rng(0)
        paths = [folder / "clips" / f"{number:04}.mp4" for number in range(args.clips)]
        for path in paths:
            write_mp4(path, random)
        given = (paths, encoder, folder / "out.npy", args.batch)
        sides: dict[str, Callable[[], dict[str, Any]]] = {
            "`anymodal embed`": partial(embedded, *given, None),
            "`anymodal embed`, no workers": partial(embedded, *given, 0),
            "a bare loop": partial(bare_loop, *given),
        }
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        outputs = set()
        for turn in range(args.runs):
            for name in measure.turns(sides, turn):
                for left in folder.glob("out.npy*"):
                    left.unlink()
                runs[name].append(measure.apart(sides[name]))
                outputs.add(np.load(folder / "out.npy").tobytes())
    if len(outputs) != 1:
        raise AssertionError("the sides give other embeddings")
    measure.write_section("embedding", _report(runs, args.clips, args.batch), args.page)


def _report(runs: dict[str, list[dict[str, float]]], clips: int, batch: int) -> str:
    bare = runs["a bare loop"]
    rows, ours = [], [0.0]
    for name, taken in runs.items():
        ratios = [b["clock"] / a["clock"] for a, b in zip(taken, bare, strict=True)]
        ours = ratios if name == "`anymodal embed`" else ours
        row = [name, measure.spread([clips / each["clock"] for each in taken], 2)]
        row.append(measure.spread(ratios, 2))
        row += [measure.spread([r[k] / clips for r in taken], 1, 1e3) for k in ("main", "workers")]
        # Where nothing else runs, two processors need half of the work, or all of what is alone.
        least = [max(r["main"], (r["main"] + r["workers"]) / 2) for r in taken]
        floors = [b["main"] / floor for floor, b in zip(least, bare, strict=True)]
        rows.append([*row, measure.spread(floors, 2) if taken[0]["workers"] else "–"])
    text = (
        f"{clips} clips in batches of {batch}, {len(bare)} runs of each, on "
        f"{len(os.sched_getaffinity(0))} processors; the library as of commit "
        f"{measure.library_commit()}. Embeddings of all sides are equal to the bit. At least "
        f"{BAR} times as fast as the bare loop: {measure.verdict(median(ours) >= BAR)}."
    )
    header = ["", "clips/s", "times as fast", "main process, ms a clip", "workers, ms a clip"]
    header.append("times as fast on two idle processors, at most")
    return f"{text}\n\n{markdown_table(header, rows)}"


if __name__ == "__main__":
    main()
