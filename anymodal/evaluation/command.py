"""`anymodal eval`: the any-to-any matrix, the ladder of a model's parts, or one decoder alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anymodal.commands.options import add_model, count

SPLITS = {"seen": (False,), "unseen": (True,), "both": (False, True)}
"""Which scenes a split holds: whether they are held out from training."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal eval`."""
    tasks = parser.add_subparsers(metavar="TASK", required=True, dest="task")
    matrix = tasks.add_parser("matrix", help="every input and output, judged by the oracles")
    add_model(matrix)
    _add_common(matrix, 100)
    matrix.add_argument(
        "--kinds", help="kinds of conversation, by commas, or all (default: the main ones)"
    )
    matrix.add_argument(
        "--out", type=Path, metavar="DIR", help="keep samples and results; goes on where it stopped"
    )
    matrix.set_defaults(evaluate=_matrix)
    ladder = tasks.add_parser("ladder", help="which part of a model loses how much")
    add_model(ladder)
    _add_common(ladder, 100)
    ladder.set_defaults(evaluate=_ladder)
    decoder = tasks.add_parser("decoder", help="a pipeline's folder alone, on captions")
    decoder.add_argument("folder", type=Path, metavar="FOLDER")
    decoder.add_argument("--modality", help="what it makes (default: what its pipeline tells)")
    decoder.add_argument("--steps", type=count, default=20, help="default: %(default)s")
    decoder.add_argument("--guidance", type=float, default=4.0, help="default: %(default)s")
    _add_common(decoder, 50)
    decoder.set_defaults(evaluate=_decoder)


def _add_common(parser: argparse.ArgumentParser, n: int) -> None:
    add = parser.add_argument
    add("--n", type=count, default=n, help="samples per line (default: %(default)s)")
    add("--seed", type=int, default=0, help="decides everything (default: %(default)s)")
    add("--split", choices=SPLITS, default="seen", help="which scenes (default: %(default)s)")
    add("--batch", type=count, default=16, help="samples at once (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Evaluate, and print a table."""
    if args.seed < 0:
        raise ValueError(f"seed={args.seed}; it must be 0 or above")
    status: int = args.evaluate(args)
    return status


def _matrix(args: argparse.Namespace) -> int:
    from anymodal.commands.options import open_model
    from anymodal.evaluation.matrix import Plan, choose_kinds, evaluate, table

    plan = Plan(
        kinds=choose_kinds(args.kinds),
        count=args.n,
        seed=args.seed,
        splits=SPLITS[args.split],
        batch_size=args.batch,
    )
    results = evaluate(open_model(args.model), plan, args.out, name=args.model)
    text = table(results)
    print(text)
    if args.out is not None:
        _write(args.out, results, text)
    return 0


def _write(out: Path, results: dict[str, Any], text: str) -> None:
    from anymodal.checkpoint import replacing

    for name, content in (("results.json", json.dumps(results, indent=2)), ("results.md", text)):
        with replacing(out / name) as path:
            path.write_text(content + "\n", "utf-8")
    print(f"written to {out}", file=sys.stderr)


def _ladder(args: argparse.Namespace) -> int:
    from anymodal.commands.options import open_model
    from anymodal.evaluation.ladder import climb

    model = open_model(args.model)
    for unseen in SPLITS[args.split]:
        _print_rungs(climb(model, args.n, args.seed, unseen, args.batch), unseen)
    return 0


def _decoder(args: argparse.Namespace) -> int:
    from anymodal.decoders import DiffusionDecoder
    from anymodal.evaluation.ladder import on_captions

    decoder = DiffusionDecoder.from_pretrained(args.folder)
    made = decoder.media.kind
    if args.modality not in (None, made):
        raise ValueError(f"{args.folder} makes {made}, not {args.modality!r}")
    for unseen in SPLITS[args.split]:
        rung = on_captions(
            decoder,
            args.n,
            seed=args.seed,
            unseen=unseen,
            batch_size=args.batch,
            steps=args.steps,
            guidance=args.guidance,
        )
        _print_rungs([rung], unseen)
    return 0


def _print_rungs(rungs: Sequence[Any], unseen: bool) -> None:
    from anymodal.evaluation.ladder import table

    print(f"{'held-out' if unseen else 'seen'} scenes\n\n{table(rungs)}\n")
