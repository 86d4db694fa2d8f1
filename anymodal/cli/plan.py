"""`anymodal plan`: what models and training runs take of a device's memory."""

from __future__ import annotations

import argparse

from anymodal.cli.options import count
from anymodal.cli.process import quick_start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal plan`."""
    parser.add_argument(
        "configs",
        nargs="+",
        metavar="CONFIG",
        help="a model's configuration, folder or name, or a training configuration, which may "
        "stand on those before it; key=value changes them, +key=value adds",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="what it must fit: a size such as 24GB, cuda:0, or cpu (default: %(default)s)",
    )
    parser.add_argument(
        "--context",
        type=count,
        default=2048,
        metavar="N",
        help="tokens of a conversation to answer (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")


def run(args: argparse.Namespace) -> int:
    """Print the plans; 1 if one of them doesn't fit."""
    from anymodal.tools.plan.budget import read_budget

    budget = read_budget(args.device)
    configs = [item for item in args.configs if "=" not in item]
    overrides = [item for item in args.configs if "=" in item]
    if not configs:
        raise ValueError("name a model or a training configuration, such as nano")
    with quick_start():
        from anymodal.tools.plan.plan import make_plans
        from anymodal.tools.plan.report import plan_report

    plans = make_plans(configs, overrides, budget, context=args.context)
    if args.json:
        import json

        print(json.dumps([plan.to_json() for plan in plans], indent=2))
    else:
        print("\n\n".join(plan_report(plan) for plan in plans))
    # A script can tell by the status whether everything fits.
    return 0 if all(plan.fits for plan in plans) else 1
