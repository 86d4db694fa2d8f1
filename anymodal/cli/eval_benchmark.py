"""`anymodal eval benchmark`: published benchmarks, with their own prompts and figures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from anymodal.cli.eval_models import KEY_HELP, MODEL_HELP, add_predictors, named_predictor
from anymodal.cli.options import DEFAULT_MODEL, add_limits, count, limits_of
from anymodal.cli.process import quick_start

LINE = "a published benchmark, from its authors' files to their figures"


def add_benchmark_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal eval benchmark`."""
    from anymodal.evaluation.benchmarks import BENCHMARKS

    parser.epilog = (
        "Replies are kept in --out, and a run that was stopped goes on there. Rows that can't be "
        f"read stand aside, with a count and a list. {KEY_HELP}"
    )
    add = parser.add_argument
    add("name", choices=list(BENCHMARKS), metavar="NAME", help=", ".join(BENCHMARKS))
    add("path", type=Path, metavar="PATH", help="its folder as it was unpacked, or its file")
    add("--model", default=DEFAULT_MODEL, help=f"{MODEL_HELP} (default: %(default)s)")
    add("--model-name", metavar="NAME", help="the model's name at an endpoint")
    add("--out", type=Path, metavar="DIR", help="replies, results and page (default: NAME-results)")
    add("--media", type=Path, metavar="DIR", help="where the media lie, if not in PATH")
    add("--split", help="the one to read, where there are several (default: the usual one)")
    add("--samples", type=count, metavar="N", help="ask the first N, and what counts with them")
    add(
        "--prompt",
        default="{prompt}",
        metavar="TEXT",
        help="what is said; {prompt} in it stands for the benchmark's own prompt",
    )
    add(
        "--choices",
        action="store_true",
        help="take the likeliest option's letter, or Yes or No, instead of a written reply",
    )
    add(
        "--judge",
        metavar="MODEL",
        help="judges replies: ImgEdit's, and MMBench's that match no option; as --model",
    )
    add("--judge-name", metavar="NAME", help="the judge's name at an endpoint")
    add("--judge-tokens", type=count, default=512, help="longest judgement (default: %(default)s)")
    add_predictors(parser)
    add_limits(parser)
    parser.set_defaults(evaluate=evaluate_benchmark)


def evaluate_benchmark(args: argparse.Namespace) -> int:
    """Run the benchmark, and print its figures."""
    with quick_start():
        from anymodal.distributed.devices import choose_device
        from anymodal.evaluation.benchmark_page import REPORT
        from anymodal.evaluation.benchmark_run import BenchmarkJob, run_benchmark
        from anymodal.evaluation.benchmarks import benchmark_class

        job = BenchmarkJob(
            args.name,
            args.path,
            args.out or Path(f"{args.name}-results"),
            args.media,
            args.split,
            args.prompt,
            args.choices,
            args.samples,
            args.batch,
            args.seed,
            limits_of(args),
            choose_device(args.device),
        )
        tokens = benchmark_class(args.name).max_new_tokens
        model = named_predictor(args, args.model, args.model_name, tokens)
        judge = None
        if args.judge is not None:
            own = argparse.Namespace(**{**vars(args), "max_new_tokens": args.judge_tokens})
            own.set = []
            judge = named_predictor(own, args.judge, args.judge_name, args.judge_tokens)
    results, table = run_benchmark(job, model, judge)
    print(table)
    for key, text in (("broken", "rows stand aside"), ("failed", "samples failed")):
        if results[key]:  # type: ignore[literal-required]
            print(f"{len(results[key])} {text}", file=sys.stderr)  # type: ignore[literal-required]
    if judge is None and benchmark_class(args.name).needs_judge:
        print("a judge gives the figures; run this again with --judge MODEL", file=sys.stderr)
    print(f"written to {job.output_dir / REPORT}", file=sys.stderr)
    return 0
