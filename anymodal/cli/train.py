"""`anymodal train`: run training configurations in order."""

from __future__ import annotations

import argparse

from anymodal.cli.options import count
from anymodal.cli.process import quick_start

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal train`."""
    parser.epilog = (
        "Runs that finished are left alone, one that was stopped goes on where it stopped. "
        "Overrides apply to every configuration; +key=value adds a key that it doesn't have."
    )
    parser.add_argument("items", nargs="+", metavar="CONFIG or key=value")
    parser.add_argument(
        "--ray", type=count, metavar="N", help="train in N processes of a Ray cluster"
    )


def run(args: argparse.Namespace) -> int:
    """Train configuration after configuration; one that is stopped ends it."""
    overrides = [item for item in args.items if "=" in item]
    configs = [item for item in args.items if "=" not in item]
    if not configs:
        raise ValueError("name a training configuration, as in configs/stages/nano/*.yaml")
    with quick_start():
        from anymodal.training.run import train

    for config in configs:
        if args.ray:
            from anymodal.training.ray_train import train_on_ray

            folder = train_on_ray(config, overrides, workers=args.ray)
        else:
            folder = train(config, overrides)
        # Stopped, not finished: the next run may build on this one.
        if folder is None:
            return INTERRUPTED
    return 0
