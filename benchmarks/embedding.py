"""Embedding clips: `anymodal embed` with its workers beside a bare loop in one process.

Clips are MP4 of 5 s at 640×360, and the shipped model embeds them. Both sides make batches of the
same files, and have to give the same bits. Times are the clock's, since several processors work.

    OMP_NUM_THREADS=1 python benchmarks/embedding.py
"""

from __future__ import annotations

import os
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


@torch.inference_mode()
def bare_loop(paths: Sequence[Path], encoder: Encoder, out: Path, batch: int) -> dict[str, float]:
    """What is easily written: load, prepare, encode a batch, one after the other."""
    start = time.perf_counter()
    rows = []
    for first in range(0, len(paths), batch):
        items = [media.load(path) for path in paths[first : first + batch]]
        prepared = torch.stack([encoder.prepare(item) for item in items])
        rows.append(encoder.embed(prepared).numpy())
    np.save(out, np.concatenate(rows))
    return {"seconds": time.perf_counter() - start}


def embedded(
    paths: Sequence[Path], encoder: Encoder, out: Path, batch: int, workers: int | None
) -> dict[str, float]:
    """What `anymodal embed` runs, once the model is open."""
    start = time.perf_counter()
    embed_files(paths, {"video": encoder}, out, batch=batch, workers=workers)
    return {"seconds": time.perf_counter() - start}


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
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        outputs = set()
        for turn in range(args.runs):
            for name in measure.turns(sides, turn):
                for left in folder.glob("out.npy*"):
                    left.unlink()
                seconds[name].append(measure.apart(sides[name])["seconds"])
                outputs.add(np.load(folder / "out.npy").tobytes())
    if len(outputs) != 1:
        raise AssertionError("the sides give other embeddings")
    measure.write_section("embedding", _report(seconds, args.clips, args.batch), args.page)


def _report(seconds: dict[str, list[float]], clips: int, batch: int) -> str:
    bare = seconds["a bare loop"]
    rows = []
    for name, taken in seconds.items():
        ratios = [b / a for a, b in zip(taken, bare, strict=True)]
        rate = measure.spread([clips / each for each in taken], 2)
        rows.append([name, rate, measure.spread(ratios, 2)])
    ours = [b / a for a, b in zip(seconds["`anymodal embed`"], bare, strict=True)]
    text = (
        f"{clips} clips in batches of {batch}, {len(bare)} runs of each, on "
        f"{len(os.sched_getaffinity(0))} processors; the library as of commit "
        f"{measure.library_commit()}. Embeddings of all sides are equal to the bit. At least "
        f"{BAR} times as fast as the bare loop: {measure.verdict(median(ours) >= BAR)}."
    )
    return f"{text}\n\n{markdown_table(['', 'clips/s', 'times as fast'], rows)}"


if __name__ == "__main__":
    main()
