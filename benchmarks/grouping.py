"""Held-out losses where batches are grouped by length, and where they aren't.

The alignment benchmark's parts train for an epoch, once for each number of batches that have their
samples dealt to them by length (`length_group_batches`), from the same weights and over the same
samples. Losses are those of samples that no side has seen, after the last step.

    OMP_NUM_THREADS=1 python benchmarks/grouping.py
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import measure
import torch
from alignment_parts import KINDS, SIZES, quiet_libraries, write_parts, write_run

from anymodal.io.results import markdown_table
from anymodal.training.objectives import Dialogue
from anymodal.training.run import fit, read_run
from anymodal.training.validation.callback import Validation

LOSSES = ("loss", "loss/text", "loss/align")
MOST = 0.01
"""By how much a held-out loss may be worse than without grouping."""
Results = dict[int, list[dict[str, float]]]
"""By the number of batches that are grouped, of each run its losses and its training's seconds."""


def train(config: Path, overrides: Sequence[str], held_out: int) -> dict[str, float]:
    """Train an epoch; the held-out losses after it, and the seconds of its steps."""
    times: list[float] = []

    def before(module: torch.nn.Module, inputs: object) -> None:
        if isinstance(module, Dialogue):
            times.append(measure.seconds())

    hook = torch.nn.modules.module.register_module_forward_pre_hook(before)
    run = read_run(config, overrides)
    trainer, _ = fit(run)
    hook.remove()
    callbacks = cast(Any, trainer).callbacks
    figures = next(each for each in callbacks if isinstance(each, Validation)).figures
    # A validation before the first step and one after the last have as many batches each.
    first = math.ceil(held_out / run.batch_size)
    return {
        **{name: figures[name] for name in LOSSES},
        "seconds": times[first + run.steps] - times[first],
    }


def compare(config: Path, args: argparse.Namespace) -> Results:
    """Train each side at several seeds, in turns."""
    results: Results = {count: [] for count in args.groups}
    held_out = {
        "_target_": "alignment_parts.Pairs", "size": args.held_out, "start": args.steps * args.batch
    }  # fmt: skip
    validation = f"{{data: {held_out}, every: {args.steps}, batches: null, samples: 0}}"
    cache = f"feature_cache.dir={config.parent / 'cache'}"
    common = [cache, f"validation={validation}", f"packed={args.packed}"]
    # Fills the cache, so that no side pays for what the others then find.
    out = f"output_dir={config.parent / 'warm'}"
    measure.apart(partial(train, config, [*common, out], args.held_out))
    for seed in range(args.runs):
        for count in measure.turns(args.groups, seed):
            out = f"output_dir={config.parent / f'out-{seed}-{count}'}"
            own = [*common, out, f"seed={seed}", f"length_group_batches={count}"]
            result = measure.apart(partial(train, config, own, args.held_out))
            results[count].append(result)
            print(f"seed {seed}, {count} batches: held-out loss {result['loss']:.4f}", flush=True)
    return results


def report(args: argparse.Namespace, commit: str, results: Results) -> str:
    """The table."""
    plain = results[args.groups[0]]
    rows = []
    for count, runs in results.items():
        ratios = [
            measure.spread([a[name] / b[name] for a, b in zip(runs, plain, strict=True)], 3)
            for name in (*LOSSES, "seconds")
        ]
        worst = max(a["loss"] / b["loss"] for a, b in zip(runs, plain, strict=True))
        losses = measure.spread([run["loss"] for run in runs], 3)
        rows.append([str(count), losses, *ratios, measure.verdict(worst <= 1 + MOST)])
    heads = ["batches grouped", "held-out loss", "× without", "`text`, ×", "`align`, ×"]
    heads += ["time of the steps, ×", f"≤ {1 + MOST:.2f} at every seed"]
    return (
        f"`--size {args.size}`, `packed: {args.packed}`: {args.runs} seeds, an epoch of "
        f"{args.steps} steps of {args.batch} samples, {args.held_out} others held out; the library "
        f"as of commit {commit}.\n\n{markdown_table(heads, rows)}"
    )


def main() -> None:
    """Train all sides in turns, and print the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--size", choices=[*SIZES], default="small-lm")
    parser.add_argument("--runs", type=int, default=3, help="seeds; default: %(default)s")
    parser.add_argument("--steps", type=int, default=64, help="in the epoch; default: %(default)s")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--held-out", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--packed", default="false", help="as in a run; default: %(default)s")
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 3, 16, 64],
                        help="numbers of batches; the first is compared with")  # fmt: skip
    args = parser.parse_args()
    for name, count in (
        ("steps times batch", args.steps * args.batch),
        ("held-out", args.held_out),
    ):
        if count % KINDS:
            parser.error(f"{name} is {count}; give a multiple of {KINDS}, one for each kind")
    quiet_libraries()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_parts(folder, SIZES[args.size])
        config = write_run(folder, args.steps, args.batch)
        commit = measure.library_commit()  # now, since a checkout may move on while this runs
        measure.write_section("grouping", report(args, commit, compare(config, args)), args.page)


if __name__ == "__main__":
    main()
