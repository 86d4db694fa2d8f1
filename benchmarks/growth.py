"""Time and memory as a prompt gets more media, and a batch more conversations.

OMP_NUM_THREADS=1 python benchmarks/growth.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import measure
import numpy as np
from measure import Elapsed

from anymodal import AnyModal
from anymodal.io.results import markdown_table
from anymodal.media import Media
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene

SIZES = (1, 2, 4, 8, 16)
LISTS = (16, 32, 64)
DRAWINGS = (1, 64)


def pictures(count: int) -> list[Media]:
    """Pictures, no two alike."""
    scene = Scene("duck", "orange", "big", "still", "slow")
    return [render_scene(scene, "image", np.random.default_rng(seed)) for seed in range(count)]


def measure_growth(
    make: Callable[[int], Callable[[], Any]], sizes: Sequence[int], runs: int
) -> list[list[str]]:
    """A row of the table for each size, smallest first, whose memory is measured in that order."""
    work = {str(size): make(size) for size in sizes}
    work[str(sizes[0])]()  # what is loaded at the first call is nobody's growth
    peaks = [measure.peak_memory(do) for do in work.values()]
    times = measure.alternating(work, runs)
    rows = []
    for size, peak in zip(sizes, peaks, strict=True):
        mine, first = times[str(size)], times[str(sizes[0])]
        share = [Elapsed(*(part / (size / sizes[0]) for part in each)) for each in mine]
        row = [size, measure.milliseconds(mine), measure.ratio(share, first)]
        rows.append([str(cell) for cell in [*row, f"{peak:.0f}", f"{peak - peaks[0]:+.0f}"]])
    return rows


def main() -> None:
    """Measure, and write the tables."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--model", default="nano", help="default: %(default)s")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--drawings", type=int, nargs="+", default=DRAWINGS)
    parser.add_argument("--lists", type=int, nargs="+", default=LISTS)
    args = parser.parse_args()
    model = AnyModal.from_pretrained(args.model)
    images = pictures(max(args.sizes))

    def prompt(size: int) -> Callable[[], Any]:
        return lambda: model.chat([*images[:size], "what is this?"], seed=0, max_new_tokens=1)

    def batch_about(size: int) -> Callable[[], Any]:
        talks = [[medium, "what is this?"] for medium in (images * size)[:size]]
        return lambda: model.chat(talks, seed=0)

    def batch_of_text(size: int) -> Callable[[], Any]:
        return lambda: model.chat([["what can you do?"]] * size, seed=0)

    def batch_drawing(size: int) -> Callable[[], Any]:
        return lambda: model.chat([["draw a small red ball"]] * size, seed=0)

    sections = []
    for title, make, sizes in (
        ("Pictures in a prompt, to the first token", prompt, args.sizes),
        ("Conversations in a batch, of text alone", batch_of_text, args.sizes),
        ("Conversations in a batch, each about a picture", batch_about, args.sizes),
        ("Conversations in a batch, each answered with a picture", batch_drawing, args.sizes),
        ("Drawings in a list, 16 at once", batch_drawing, args.drawings),
        ("Conversations in a list, 16 at once, each about a picture", batch_about, args.lists),
    ):
        rows = measure_growth(make, sizes, args.runs)
        header = ["number", "ms", "each, to the first row", "peak MB", "more MB"]
        sections.append(f"{title}:\n\n{markdown_table(header, rows)}")
        print(sections[-1], flush=True)
    measure.write_section("growth", "\n\n".join(sections), args.page)


if __name__ == "__main__":
    main()
