"""`anymodal validate`: check configurations of any kind, building nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from anymodal.cli.process import quick_start
from anymodal.cli.terminal import WHITESPACE
from anymodal.config.printable import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal validate`."""
    parser.add_argument("configs", nargs="+", type=Path, metavar="CONFIG")


def run(args: argparse.Namespace) -> int:
    """Check every file; 2 if one of them can't work."""
    status = 0
    for path in args.configs:
        try:
            with quick_start():
                check_configuration(path)
        except (ValueError, OSError) as error:
            print(printable(f"anymodal: {path}: {error}", None, WHITESPACE), file=sys.stderr)
            status = 2
        else:
            print(f"{path}: ok")
    return status


def check_configuration(path: Path) -> None:
    """Check a configuration: `modalities` make it a model's, `metrics` an evaluation's.

    Raises:
        ValueError: naming the place, the wrong key and the nearest right one.
    """
    from anymodal import composition
    from anymodal import config as configuration

    config = configuration.load_config(path)
    # Keys tell of which kind a configuration is; none has to say it.
    if "modalities" in config:
        trusted_packages = config.get("trusted_packages") or []
        if not isinstance(trusted_packages, list) or not all(
            isinstance(name, str) for name in trusted_packages
        ):
            raise configuration.ConfigError("trusted_packages must be a list of packages")
        composition.validate_model(config, trusted_packages)
    elif "metrics" in config:
        from anymodal.evaluation.schema import read_evaluation

        read_evaluation(path)
    else:
        from anymodal.training.run import read_run

        read_run(path)
