"""`anymodal eval compare`: people compare two models, blind, on a page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.cli.eval_models import KEY_HELP, add_predictors, is_endpoint, named_predictor
from anymodal.cli.options import add_limits, count, limits_of, whole
from anymodal.cli.process import quick_start

if TYPE_CHECKING:
    from anymodal.evaluation.comparison import Comparison
    from anymodal.evaluation.comparison_run import Source

LINE = "a page on which people compare the replies of two models, without knowing whose they are"
_MAX_NEW_TOKENS = 256


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal eval compare`."""
    parser.epilog = (
        "A model is a folder, a run, a shipped model's name, an endpoint's URL, or a folder of "
        "earlier results. Without models the comparison in --out goes on. The page is served to "
        "this machine alone until Ctrl-C, and each choice is saved at once; opened as a file it "
        "keeps choices to be downloaded, which --choices reads. preferences.jsonl has them as "
        f"rows that `anymodal data` and preference training read. {KEY_HELP}"
    )
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="the two to compare")
    add("--out", type=Path, required=True, metavar="DIR", help="replies, page and choices")
    add(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="samples as `eval files` reads them, or a .txt with a prompt a line (default: those "
        "of the earlier results)",
    )
    add("--media", type=Path, metavar="DIR", help="media that earlier results' prompts name")
    add("--model-name", action="append", default=[], metavar="NAME", help="at an endpoint, in turn")
    add("--samples", type=count, metavar="N", help="the first N prompts only")
    add("--port", type=whole, default=0, help="where the page is served (default: any free one)")
    add("--no-serve", action="store_false", dest="serve", help="write the page and end")
    add("--choices", type=Path, metavar="FILE", help="take in choices that a page gave, and end")
    add_predictors(parser)
    add_limits(parser)
    parser.set_defaults(evaluate=compare_models)


def compare_models(args: argparse.Namespace) -> int:
    """Make or go on with a comparison, show the page, and print who was preferred."""
    with quick_start():
        comparison = _comparison(args)
    for name, reason in comparison.broken.items():
        print(f"prompt {name} stands aside: {reason}", file=sys.stderr)
    if comparison.same:
        print(f"{len(comparison.same)} replies are the same, and not shown", file=sys.stderr)
    if others := comparison.num_other_choices():
        print(
            f"{others} earlier choices are about other replies; they don't count", file=sys.stderr
        )
    if args.choices is not None:
        lines = args.choices.read_text("utf-8-sig").splitlines()
        added = comparison.add_choices(lines)
        print(f"{added} of {len(lines)} choices are of this comparison", file=sys.stderr)
    elif args.serve:
        _serve(comparison, args.port)
    print(comparison.write_results())
    print(f"written to {args.out}", file=sys.stderr)
    return 0


def _comparison(args: argparse.Namespace) -> Comparison:
    from anymodal.evaluation.comparison import Comparison
    from anymodal.evaluation.comparison_run import ComparisonJob, run_comparison

    if not args.models:
        return Comparison.load(args.out)
    if len(args.models) != 2:
        raise ValueError(f"name two models to compare, or none to go on, not {len(args.models)}")
    job = ComparisonJob(
        args.out,
        args.prompts,
        args.media,
        args.samples,
        args.batch,
        args.seed,
        limits_of(args),
    )
    remote_names = iter(args.model_name)
    first, second = (_source(args, name, remote_names) for name in args.models)
    return run_comparison(job, (first, second))


def _source(args: argparse.Namespace, name: str, remote_names: Iterator[str]) -> Source:
    from anymodal.evaluation.stored_replies import records_file

    if is_endpoint(name):
        return named_predictor(args, name, next(remote_names, None), _MAX_NEW_TOKENS)
    return records_file(Path(name)) or named_predictor(args, name, None, _MAX_NEW_TOKENS)


def _serve(comparison: Comparison, port: int) -> None:
    from anymodal.evaluation.comparison_server import ComparisonServer

    with ComparisonServer(comparison, port) as server:
        print(f"compare at {server.url}; Ctrl-C ends", file=sys.stderr, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)
