"""`python -m tests.fuzz`: damaged media, configurations and checkpoints, and threads."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

COUNTS = {"media": 10_000, "configurations": 2_000, "checkpoints": 28, "threads": 320}


def main(arguments: list[str] | None = None) -> int:
    """Run the kinds of fuzz that are asked for; 1 if the project failed any of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    add = parser.add_argument
    add("--only", choices=COUNTS, action="append", help="one kind (may be given again)")
    add("--count", type=int, help="inputs of each kind, in place of "
        + ", ".join(f"{count:,} {name}" for name, count in COUNTS.items()))  # fmt: skip
    add("--seed", type=int, default=0, help="the same seed makes the same inputs (default 0)")
    add("--workers", type=int, default=max(1, min(8, os.cpu_count() or 1)))
    add("--out", type=Path, default=Path("fuzz-out"), help="where inputs at fault are kept")
    args = parser.parse_args(arguments)
    failed = 0
    for kind in args.only or COUNTS:
        out = args.out / kind
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        began = time.monotonic()
        print(f"== {kind}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            faults, tried = _run(kind, args, Path(folder), out)
        print(f"{kind}: {tried - faults:,} of {tried:,} right, {time.monotonic() - began:.0f} s"
              + f"; see {out}" * bool(faults), flush=True)  # fmt: skip
        failed += faults
    return 1 if failed else 0


def _run(kind: str, args: argparse.Namespace, folder: Path, out: Path) -> tuple[int, int]:
    count = args.count or COUNTS[kind]
    if kind == "media":
        from tests.fuzz import corpus, media

        files, absent = corpus.make_corpus()
        print(f"{len(absent)} can't be made here: {', '.join(absent) or 'none'}")
        print(f"{len(files)} whole files of {len({Path(n).suffix for n in files})} formats")
        context = media.write_corpus(files, folder, args.seed)
        for name, words in media.whole(context).items():
            print(f"  refused whole: {name}: {words[:150]}")
        outcomes = media.run(context, count, args.workers, out)
        return sum(o.fault for o in outcomes), len(outcomes)
    if kind == "configurations":
        from tests.fuzz import configurations

        return configurations.run(count, args.seed, args.workers, folder, out)
    if kind == "checkpoints":
        from tests.fuzz import checkpoints

        return checkpoints.run(count, args.seed, folder, out)
    from tests.fuzz import threads

    return threads.run(count, args.seed)


if __name__ == "__main__":
    sys.exit(main())
