"""`anymodal data pairs`: preference pairs from a model's own replies."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from anymodal.cli.process import quick_start

LINE = "preference pairs from a model's own replies, scored as a configuration says"


def add_pairs(tasks: Any) -> None:
    """Add the task, which reads a configuration instead of a data set."""
    parser = tasks.add_parser(
        "pairs", help=LINE, description=LINE[0].upper() + LINE[1:] + ".", allow_abbrev=False
    )
    parser.epilog = (
        "Replies and scores are kept in the configuration's folder, and a run that was stopped "
        "goes on there. pairs.jsonl has the pairs, scores.jsonl all replies with their scores, and "
        "pairs.html shows pairs side by side. key=value overrides the configuration, +key=value "
        "adds a key that it doesn't have."
    )
    parser.add_argument("items", nargs="+", metavar="CONFIG or key=value")
    parser.set_defaults(task=run_pairs)


def run_pairs(args: argparse.Namespace) -> int:
    """Make the pairs, and print how many there are and what was left out."""
    configs = [item for item in args.items if "=" not in item]
    if len(configs) != 1:
        raise ValueError(f"name one configuration, as configs/data/pairs.yaml, not {len(configs)}")
    with quick_start():
        from anymodal.tools.pairs import run

    results, table = run.make_pairs(configs[0], [item for item in args.items if "=" in item])
    print(table)
    if results["failed"]:
        print(f"{len(results['failed'])} replies failed", file=sys.stderr)
    return 0
