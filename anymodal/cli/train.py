"""`anymodal train`: run training configurations in order."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

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
    parser.add_argument(
        "--find-rate",
        type=Path,
        metavar="FILE",
        help="don't train: try growing learning rates, write the curve (.csv), suggest one",
    )
    parser.add_argument(
        "--rates",
        type=rates,
        default=(1e-7, 1.0),
        metavar="LOW:HIGH",
        help="that are tried (default: 1e-7:1)",
    )
    parser.add_argument(
        "--rate-steps", type=count, default=100, metavar="N", help="tried (default: %(default)s)"
    )


def rates(text: str) -> tuple[float, float]:
    """LOW:HIGH, for argparse."""
    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} are no rates such as 1e-7:1") from None


def run(args: argparse.Namespace) -> int:
    """Train configuration after configuration; one that is stopped ends it."""
    overrides = [item for item in args.items if "=" in item]
    configs = [item for item in args.items if "=" not in item]
    if not configs:
        raise ValueError("name a training configuration, as in configs/stages/nano/*.yaml")
    if args.find_rate is not None:
        return _find_rate(args, configs, overrides)
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


def _find_rate(args: argparse.Namespace, configs: Sequence[str], overrides: Sequence[str]) -> int:
    if len(configs) > 1 or args.ray:
        raise ValueError("--find-rate tries the rates of one configuration, and not on Ray")
    if args.find_rate.suffix.lower() != ".csv":
        raise ValueError(f"--find-rate {args.find_rate} is no .csv, which the curve is written as")
    with quick_start():
        from anymodal.training.rate_finder import find_rate

    low, high = args.rates
    curve = find_rate(configs[0], overrides, low=low, high=high, steps=args.rate_steps)
    curve.write(args.find_rate)
    tried = f"{len(curve.rates)} rates tried, the curve is in {args.find_rate}"
    if curve.suggestion is None:
        print(f"{tried}; the loss falls nowhere, so look at the data, or give more --rate-steps")
        return 1
    print(f"{tried}; the loss falls fastest at optimizer.lr={curve.suggestion:.2g}")
    return 0
