"""`anymodal train`: run training configurations in order."""

from __future__ import annotations

import argparse

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal train`."""
    parser.epilog = (
        "Runs that finished are left alone, one that was stopped goes on where it stopped. "
        "Overrides apply to every configuration; +key=value adds a key that it doesn't have."
    )
    parser.add_argument("items", nargs="+", metavar="CONFIG or key=value")


def run(args: argparse.Namespace) -> int:
    """Train configuration after configuration; one that is stopped ends it."""
    overrides = [item for item in args.items if "=" in item]
    configs = [item for item in args.items if "=" not in item]
    if not configs:
        raise ValueError("name a training configuration, as in configs/stages/nano/*.yaml")
    from anymodal.training.run import train

    for config in configs:
        if train(config, overrides) is None:
            return INTERRUPTED
    return 0
