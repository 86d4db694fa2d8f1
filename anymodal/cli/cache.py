"""`anymodal cache`: fill the feature cache of a training run ahead of it."""

from __future__ import annotations

import argparse

from anymodal.cli.options import count
from anymodal.cli.process import quick_start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal cache`."""
    parser.epilog = (
        "The configuration's `feature_cache.dir` names the folder, or feature_cache.dir=FOLDER "
        "does. Results that the folder has already are kept, so a stopped command goes on, "
        "and several with a --share each work at once."
    )
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument(
        "--limit", type=count, metavar="N", help="samples (default: all that the run draws)"
    )
    parser.add_argument(
        "--processes",
        type=count,
        metavar="P",
        help="processes of the run, where a launcher decides (default: the trainer's devices)",
    )
    parser.add_argument(
        "--share",
        type=share,
        default=(1, 1),
        metavar="K/N",
        help="take the K-th of N shares of the work (default: all of it)",
    )


def share(text: str) -> tuple[int, int]:
    """K of N, for argparse."""
    place, _, among = text.partition("/")
    if not (place.isdecimal() and among.isdecimal() and 1 <= int(place) <= int(among)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 1/4, 2/4, 3/4 or 4/4")
    return int(place), int(among)


def run(args: argparse.Namespace) -> int:
    """Fill the cache of one configuration."""
    with quick_start():
        from anymodal.training.precompute import fill_feature_cache

    samples = fill_feature_cache(
        args.config, args.overrides, args.limit, args.share, args.processes
    )
    print(f"{samples} samples gone through")
    return 0
