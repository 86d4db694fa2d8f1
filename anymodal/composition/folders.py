"""Folders of models and their configurations, which may be a stranger's; none of it needs torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anymodal import config as configuration
from anymodal.composition.shape import Config, check_amounts
from anymodal.config import suggest
from anymodal.config.printable import printable
from anymodal.config.yaml_files import read_yaml
from anymodal.io.checkpoint import CONFIG, CheckpointError

SHIPPED = Path(__file__).parents[1] / "checkpoints"
"""Where the models that come with the package lie."""
_NAMES = re.compile(r"[\w.-]{1,256}", re.ASCII)


def find(path: str | Path) -> Path:
    """The folder of a model: a path, or the name of one that ships with the package.

    Raises:
        CheckpointError: if there is neither.
    """
    if "://" in str(path):
        raise CheckpointError(f"models are read from local folders, not from {path}")
    for folder in (Path(path), SHIPPED / str(path)):
        if (folder / CONFIG).is_file():
            return folder
    names = [p.name for p in SHIPPED.iterdir()] if SHIPPED.is_dir() else []
    raise CheckpointError(
        f"no model at {path!s}: neither a folder with a {CONFIG} nor a shipped model"
        f"{suggest(str(path), names)}"
    )


def read_config(folder: Path) -> dict[str, Any]:
    """A model folder's configuration. It may be a stranger's: it gets the folder's own path and
    nothing else from this machine, so no other file, no environment variable.

    Raises:
        CheckpointError: if it can't be read, or asks for more than any model has.
    """
    path = folder / CONFIG
    try:
        config = read_yaml(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} must hold a mapping at the top")
    config.pop("trusted_packages", None)  # nor has it a say in whom to trust
    if config.get("weights"):
        raise CheckpointError(f"{path} has 'weights' elsewhere; a model's folder has its own")
    try:
        check_amounts(config, "")
        _check_patterns(config, "")
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    result: dict[str, Any] = configuration.resolve_here(config, folder)
    return result


def _check_patterns(node: Config | list[object], place: str) -> None:
    """Refuse patterns where names would do."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node)
    for name, value in items:
        if name == "target_modules":
            _check_names(value, f"{place}.{name}".lstrip("."))
        if isinstance(value, Mapping | list):
            _check_patterns(value, f"{place}.{name}".lstrip("."))


def _check_names(value: object, place: str) -> None:
    """Of modules that get adapters a folder gives names: a pattern could take for ever."""
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) and _NAMES.fullmatch(name) for name in names) or (
        isinstance(value, str) and value != "all-linear" and not value.isidentifier()
    ):
        raise ValueError(
            f"{printable(place)} must be all-linear or names of modules, not "
            f"{printable(repr(value))}; in your own configuration a pattern may stand"
        )
