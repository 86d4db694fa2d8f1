"""`anymodal eval`: the matrix, own samples, a decoder alone, published benchmarks, comparisons."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymodal.cli import eval_benchmark, eval_compare
from anymodal.cli.options import add_device, add_model, open_model
from anymodal.cli.process import quick_start

if TYPE_CHECKING:
    from anymodal.toybox.diagnosis import ComponentAccuracy

SPLITS = {"seen": (False,), "unseen": (True,), "both": (False, True)}
"""For each table of a split: True for scenes that are held out from training."""

LEAST = {"n": 1, "rows": 1, "batch": 1, "steps": 1, "seed": 0}
"""The least that options may be."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal eval`."""
    tasks = parser.add_subparsers(metavar="TASK", required=True, dest="task")

    def task(name: str, line: str, n: int) -> argparse.ArgumentParser:
        return _add_task(tasks.add_parser(name, help=line, description=line, allow_abbrev=False), n)

    matrix = task("matrix", "hold conversations of every kind, and score the replies", 100)
    add_model(matrix)
    matrix.add_argument(
        "--kinds",
        default="all",
        help='kinds of conversation by commas, as text>image; "any" for a mixture, "paraphrase" '
        'for words never trained on, "main" for words to each medium and back and a mixture, "all" '
        'for each of them; "sets" for what people typed (set:people, …), files in other light '
        "(light:image, …), edits, clips and silhouettes (default: %(default)s)",
    )
    matrix.add_argument(
        "--rows",
        type=int,
        metavar="N",
        help="about how many rows of each frozen set of people's words (default: all)",
    )
    matrix.add_argument(
        "--varied",
        action="store_true",
        help="give media as JPEG, MP3, H.264 and other rates, sizes and lengths, with some noise",
    )
    matrix.add_argument(
        "--out", type=Path, metavar="DIR", help="keep samples and results; goes on where it stopped"
    )
    matrix.add_argument(
        "--diagnose",
        action="store_true",
        help="find the part that loses most instead: oracles, encoders, language model, heads, "
        "decoders, each measured on its own",
    )
    matrix.set_defaults(evaluate=_matrix)
    decoder = task("decoder", "measure a pipeline's folder alone, on captions", 50)
    decoder.add_argument("folder", type=Path, metavar="FOLDER")
    decoder.add_argument(
        "options",
        nargs="*",
        metavar="key=value",
        help="what no pipeline's folder tells, such as fps=4 for a clip's frame rate",
    )
    decoder.add_argument("--modality", help="what it must make (default: what it makes)")
    decoder.add_argument("--steps", type=int, default=20, help="default: %(default)s")
    decoder.add_argument("--guidance", type=float, default=4.0, help="default: %(default)s")
    add_device(decoder)
    decoder.set_defaults(evaluate=_decoder)
    line = "ask samples of a JSON Lines file, and measure the replies, as a configuration says"
    files = tasks.add_parser("files", help=line, description=line, allow_abbrev=False)
    files.epilog = (
        "Replies are kept in the configuration's folder, and a run that was stopped goes on there. "
        "key=value overrides the configuration, +key=value adds a key that it doesn't have."
    )
    files.add_argument("items", nargs="+", metavar="CONFIG or key=value")
    files.set_defaults(evaluate=_files)
    for name, line, add in (
        ("benchmark", eval_benchmark.LINE, eval_benchmark.add_benchmark_arguments),
        ("compare", eval_compare.LINE, eval_compare.add_compare_arguments),
    ):
        add(tasks.add_parser(name, help=line, description=line, allow_abbrev=False))


def _add_task(parser: argparse.ArgumentParser, n: int) -> argparse.ArgumentParser:
    add = parser.add_argument
    add("--n", type=int, default=n, help="samples of each task and split (default: %(default)s)")
    add("--seed", type=int, default=0, help="decides everything (default: %(default)s)")
    add("--split", choices=SPLITS, default="both", help="which scenes (default: %(default)s)")
    add("--batch", type=int, default=16, help="samples at once (default: %(default)s)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Evaluate, and print a table."""
    # Before the model is loaded.
    for name, least in LEAST.items():
        value = getattr(args, name, None)
        if value is not None and value < least:
            raise ValueError(f"{name}={value}; it must be {least} or above")
    status: int = args.evaluate(args)
    return status


def _matrix(args: argparse.Namespace) -> int:
    if args.diagnose:
        return _diagnose(args)
    with quick_start():
        from anymodal.evaluation.predictor import ModelPredictor
        from anymodal.toybox.matrix import MatrixPlan, evaluate_matrix, parse_tasks
        from anymodal.toybox.matrix_check import check_plan
        from anymodal.toybox.matrix_report import matrix_table

        tasks = parse_tasks(args.kinds)
        plan = MatrixPlan(
            tasks, args.n, args.seed, SPLITS[args.split], args.batch, args.varied, args.rows
        )
        model = open_model(args)
        check_plan(plan, model)
        predictor = ModelPredictor(model)
    results = evaluate_matrix(predictor, plan, args.out, name=args.model)
    text = matrix_table(results)
    print(text)
    if args.out is not None:
        from anymodal.io.results import write_results

        write_results(args.out, results, text)
        print(f"written to {args.out}", file=sys.stderr)
    return 0


def _diagnose(args: argparse.Namespace) -> int:
    with quick_start():
        from anymodal.toybox.diagnosis import diagnose
        from anymodal.toybox.scoring import SceneSet

        model = open_model(args)
    for unseen in SPLITS[args.split]:
        scenes = SceneSet(args.n, args.seed, unseen)
        _print_accuracies(diagnose(model, scenes, batch_size=args.batch), unseen)
    return 0


def _decoder(args: argparse.Namespace) -> int:
    with quick_start():
        from omegaconf import OmegaConf

        from anymodal.config import ranges
        from anymodal.decoders import DiffusionDecoder
        from anymodal.distributed import devices
        from anymodal.toybox.diagnosis import decoder_accuracy
        from anymodal.toybox.scoring import SceneSet

        ranges.check_sampling({"steps": args.steps, "guidance": args.guidance})
        device = devices.choose_device(args.device)
        options: Any = OmegaConf.to_container(OmegaConf.from_dotlist(args.options))
        decoder = DiffusionDecoder.from_pretrained(args.folder, **options).to(device)
    kind = decoder.media.kind
    if args.modality not in (None, kind):
        raise ValueError(f"{args.folder} makes {kind}, not {args.modality!r}")
    for unseen in SPLITS[args.split]:
        accuracy = decoder_accuracy(
            decoder,
            SceneSet(args.n, args.seed, unseen),
            batch_size=args.batch,
            steps=args.steps,
            guidance=args.guidance,
        )
        _print_accuracies([accuracy], unseen)
    return 0


def _files(args: argparse.Namespace) -> int:
    configs = [item for item in args.items if "=" not in item]
    if len(configs) != 1:
        raise ValueError(
            f"name one configuration, as configs/evaluation/answers.yaml, not {len(configs)}"
        )
    with quick_start():
        from anymodal.evaluation.run import run_evaluation

    results, table = run_evaluation(configs[0], [item for item in args.items if "=" in item])
    print(table)
    if results["failed"]:
        print(f"{len(results['failed'])} samples or measurements failed", file=sys.stderr)
    if results["truncated"]:
        print(
            f"{len(results['truncated'])} replies were cut off; set settings.max_new_tokens higher",
            file=sys.stderr,
        )
    return 0


def _print_accuracies(accuracies: Sequence[ComponentAccuracy], unseen: bool) -> None:
    from anymodal.toybox.diagnosis import diagnosis_table

    print(f"{'held-out' if unseen else 'seen'} scenes\n\n{diagnosis_table(accuracies)}\n")
