"""Alignment training: `anymodal train` beside NExT-GPT's step, Hugging Face's Trainer, a bare loop.

All sides train the same parts on the same samples with the same losses, an epoch of which is
measured: half of the samples are media to be captioned (encoding-side alignment), half captions to
be made media of (decoding-side). `alignment_peers.py` has the other sides, `alignment_parts.py` the
parts and the samples.

    OMP_NUM_THREADS=1 python benchmarks/alignment.py --size small-lm
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import measure
import torch
from alignment_parts import KINDS, SIZES, quiet_libraries, write_parts, write_run
from alignment_peers import PEERS

from anymodal.io.results import markdown_table
from anymodal.training.objectives import Dialogue
from anymodal.training.objectives.dialogue import DialogueBatch
from anymodal.training.precompute import fill_feature_cache
from anymodal.training.run import fit, read_run

Results = dict[str, list[dict[str, float]]]
"""Of each side, run after run: an epoch's seconds, and those ahead of it."""

DEFAULT = "`anymodal train`"
SWITCHES = {
    "`anymodal train`, packed rows": ["packed=true"],
    "`anymodal train`, not grouped by length": ["length_group_batches=1"],
    "`anymodal train`, no frozen prefix": ["frozen_prefix=false"],
    "`anymodal train`, no fused AdamW": ["optimizer.fused=false"],
    "`anymodal train`, regional compile": ["compile=true"],
    "`anymodal train`, activation checkpointing": ["activation_checkpointing=true"],
    "`anymodal train`, bf16": ["precision=bf16-mixed"],
}
"""Changes of the run by `--switches`, one at a time."""


def fill(config: Path, cache: str) -> dict[str, float]:
    """Fill the cache by what `anymodal cache` runs; the seconds from the first batch on."""
    times: list[float] = []
    precompute = Dialogue.precompute

    def note_time(self: Dialogue, batch: DialogueBatch) -> None:
        times.append(measure.seconds())
        precompute(self, batch)

    Dialogue.precompute = note_time  # type: ignore[method-assign]
    fill_feature_cache(config, [cache])
    return {"ahead": measure.seconds() - times[0]}


def train_two_epochs(config: Path, overrides: Sequence[str]) -> dict[str, float]:
    """Train as `anymodal train` does, two epochs and a step; the seconds of the second epoch."""
    times: list[float] = []

    def before(module: torch.nn.Module, inputs: object) -> None:
        if isinstance(module, Dialogue):
            times.append(measure.seconds())

    torch.nn.modules.module.register_module_forward_pre_hook(before)
    epoch = read_run(config).steps
    with tempfile.TemporaryDirectory() as out:
        # The last step is followed by a checkpoint and the end, so its end isn't the next's start.
        fit(read_run(config, [*overrides, f"output_dir={out}", f"steps={2 * epoch + 1}"]))
    return {"seconds": times[2 * epoch] - times[epoch]}


# ---- Comparison --------------------------------------------------------------------------------


def main() -> None:
    """Measure in alternating runs, and print the tables."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--size", choices=[*SIZES], default="small-lm")
    parser.add_argument("--runs", type=int, default=3, help="of each; default: %(default)s")
    parser.add_argument("--steps", type=int, default=8, help=f"in an epoch, a multiple of {KINDS}")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--switches", action="store_true", help="one at a time")
    args = parser.parse_args()
    if args.steps % KINDS:
        parser.error(f"--steps {args.steps} must be a multiple of {KINDS}, one for each data set")
    quiet_libraries()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sizes = write_parts(folder, SIZES[args.size])
        config = write_run(folder, args.steps, args.batch)
        commit = measure.library_commit()  # now, since a checkout may move on while this runs
        for results in compare(config, args):  # after every run, since the whole takes long
            text = report(args, sizes, commit, results)
            measure.write_section(f"alignment {args.size}", text, args.page)


def compare(config: Path, args: argparse.Namespace) -> Iterator[Results]:
    """Measure every side in turn, run after run; the results so far."""
    changes = {
        DEFAULT: [],
        **(SWITCHES if args.switches else {}),
    }
    results: Results = {name: [] for name in (*PEERS, *changes)}
    for run in range(args.runs):
        cache = f"feature_cache.dir={config.parent / f'cache-{run}'}"
        ahead = measure.apart(partial(fill, config, cache))["ahead"]
        sides: dict[str, Callable[[], dict[str, float]]] = {
            name: partial(peer, config) for name, peer in PEERS.items()
        }
        for name, overrides in changes.items():
            # What another precision makes isn't in the cache yet; its first epoch adds it.
            sides[name] = partial(train_two_epochs, config, [cache, *overrides])
        for name in measure.turns(sides, run + 1):
            result = {"ahead": ahead, **measure.apart(sides[name])}
            results[name].append(result)
            rate = args.steps * args.batch / result["seconds"]
            print(f"run {run + 1}: {name}: {rate:.2f} samples/s", flush=True)
        yield results


# ---- Tables ------------------------------------------------------------------------------------


def report(args: argparse.Namespace, sizes: dict[str, float], commit: str, results: Results) -> str:
    """The tables of one size."""
    count = args.steps * args.batch
    rows = [
        [
            name,
            measure.spread([count / run["seconds"] for run in runs], 1),
            measure.spread([run["ahead"] / count for run in runs], 1, 1e3),
            f"{median(run['peak_mb'] for run in runs):.0f}",
        ]
        for name, runs in results.items()
    ]
    ratios = [
        [f"{ours} / {peer}", *(_ratio(results, ours, peer, epochs) for epochs in (None, 1, 3))]
        for ours in (DEFAULT,)
        for peer in PEERS
    ]
    parts = ", ".join(f"{name} {millions:.1f} M" for name, millions in sizes.items())
    return "\n\n".join(
        [
            f"**`--size {args.size}`**, in the proportions of {SIZES[args.size].like}: {parts}.",
            f"Alternating runs: {len(results[DEFAULT])}, of an epoch of {args.steps} steps of "
            f"{args.batch} samples, the library as of commit {commit}.",
            markdown_table(["training", "samples/s", "ahead, ms a sample", "peak MB"], rows),
            "How many times as fast, below 1 where slower, of a step alone and with what is "
            "computed ahead counted on both sides:",
            markdown_table(["", "a step", "one epoch", "three epochs"], ratios),
        ]
    )


def _ratio(results: Results, ours: str, peer: str, epochs: int | None) -> str:
    """The second's time over the first's, run by run."""

    def total_seconds(run: dict[str, float]) -> float:
        return run["seconds"] if epochs is None else run["ahead"] + epochs * run["seconds"]

    pairs = zip(results[ours], results[peer], strict=True)
    return measure.spread([total_seconds(b) / total_seconds(a) for a, b in pairs], 2)


if __name__ == "__main__":
    main()
