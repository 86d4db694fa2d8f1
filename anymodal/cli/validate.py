"""`anymodal validate`: check configurations of any kind, building nothing."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from anymodal.cli.process import quick_start
from anymodal.cli.terminal import WHITESPACE
from anymodal.config.printable import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal validate`."""
    parser.epilog = (
        "key=value overrides every configuration, +key=value adds a key that it doesn't have. "
        "Files of data must be there, and an evaluation's samples are read."
    )
    parser.add_argument("items", nargs="+", metavar="CONFIG or key=value")
    parser.add_argument(
        "--no-data",
        action="store_true",
        help="don't look for files of data, as where a configuration is for another machine",
    )


def run(args: argparse.Namespace) -> int:
    """Check every file; 2 if one of them can't work."""
    overrides = [item for item in args.items if "=" in item]
    paths = [Path(item) for item in args.items if "=" not in item]
    if not paths:
        raise ValueError("name a configuration, as in configs/models/nano.yaml")
    status = 0
    for path in paths:
        try:
            with quick_start():
                check_configuration(path, overrides, data=not args.no_data)
        except (ValueError, OSError) as error:
            print(printable(f"anymodal: {path}: {error}", None, WHITESPACE), file=sys.stderr)
            status = 2
        else:
            print(f"{path}: ok")
    return status


def check_configuration(path: Path, overrides: Sequence[str] = (), *, data: bool = True) -> None:
    """Check a configuration: `modalities` make it a model's, `metrics` an evaluation's.

    Args:
        path: of the configuration.
        overrides: `key=value`, over what it says.
        data: whether the files of its data must be there.

    Raises:
        ValueError: naming the place, the wrong key and the nearest right one.
        FileNotFoundError: naming the key of data that aren't there.
    """
    from anymodal import composition
    from anymodal import config as configuration

    # Keys tell of which kind a configuration is; none has to say it. Until its kind is known, a key
    # that is set may be one that it leaves at its default.
    adding = [item if item.startswith("+") else f"+{item}" for item in overrides]
    config = configuration.load_config(path, adding)
    if "modalities" in config:
        config = configuration.load_config(path, overrides)
        trusted_packages = config.get("trusted_packages") or []
        if not isinstance(trusted_packages, list) or not all(
            isinstance(name, str) for name in trusted_packages
        ):
            raise configuration.ConfigError("trusted_packages must be a list of packages")
        composition.validate_model(config, trusted_packages)
    elif "metrics" in config:
        from anymodal.evaluation.reply_job import import_packages
        from anymodal.evaluation.schema import Evaluation

        evaluation = Evaluation.read(path, overrides)
        if data and isinstance(evaluation.data, str):
            import_packages(evaluation.trusted_packages)
            evaluation.samples()
    elif "scorers" in config:
        from anymodal.evaluation.reply_job import import_packages
        from anymodal.tools.pairs.configuration import PairMaking

        making = PairMaking.read(path, overrides)
        if data and isinstance(making.data, str):
            import_packages(making.trusted_packages)
            making.samples()
    else:
        from anymodal.training.run import read_run

        job = read_run(path, overrides)
        if data:
            sources = {} if job.validation is None else job.validation.sources()
            places = {f"validation.data.{name}".rstrip("."): node for name, node in sources.items()}
            for place, node in {"data": job.data, **places}.items():
                _check_data(place, node, job.trusted)


def _check_data(place: str, node: object, trusted_packages: Iterable[str]) -> None:
    """Look for the files that the data sets of a part name."""
    for where, path in _named_files(place, node, trusted_packages):
        if not Path(path).exists():
            raise FileNotFoundError(
                f"{where}: there is no {path}; set it by {where}=PATH, or leave data out of the "
                "check by --no-data"
            )


def _named_files(
    place: str, node: object, trusted_packages: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Files and folders of this machine that the data sets in a part read, each with its key."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _named_files(f"{place}.{index}", item, trusted_packages)
    if not isinstance(node, Mapping):
        return
    if _reads_rows(node, trusted_packages):
        from anymodal.data.containers.braces import files_of
        from anymodal.data.containers.files import is_url

        folder, paths = node.get("folder"), node.get("path", [])
        if isinstance(folder, str) and not is_url(folder):
            yield f"{place}.folder", folder
        for name in [paths] if isinstance(paths, str) else paths:
            if not is_url(name):
                yield from ((f"{place}.path", each) for each in files_of(name))
    for key, value in node.items():
        yield from _named_files(f"{place}.{key}", value, trusted_packages)


def _reads_rows(node: Mapping[str, Any], trusted_packages: Iterable[str]) -> bool:
    from anymodal import config as configuration
    from anymodal.data.recordings import Recordings
    from anymodal.data.row_samples import RowSamples

    target = node.get("_target_")
    if not isinstance(target, str):
        return False
    part = configuration.resolve_target(target, trusted_packages)
    return inspect.isclass(part) and issubclass(part, RowSamples | Recordings)
