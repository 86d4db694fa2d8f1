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
from anymodal.io.hub_repository import fetch_folder
from anymodal.io.sources import REPOSITORY

SHIPPED = Path(__file__).parents[1] / "checkpoints"
"""Where the models that come with the package lie."""
ENCODER_CONFIG = "config.json"
"""The configuration in a folder of encoders alone."""
RUN_FILE = "run.yaml"
"""The configuration in a run's folder."""
_NAMES = re.compile(r"[\w.-]{1,256}", re.ASCII)


def find(path: str | Path, revision: str | None = None, token: str | None = None) -> Path:
    """The folder of a model: a path, the name of a shipped one, or one on the hub.

    Args:
        path: of the folder; or a name, as `nano` or `user/name`, whose files are fetched.
        revision: a branch, a tag or a commit of the hub's repository.
        token: for a repository that is private.

    Raises:
        CheckpointError: if there is no such model.
        PermissionError: if the hub doesn't give it to this user.
    """
    if "://" in str(path):
        raise CheckpointError(f"models are read from folders and the hub, not from {path}")
    for folder in (Path(path), SHIPPED / str(path)):
        if (folder / CONFIG).is_file():
            if revision is not None:
                raise CheckpointError(
                    f"revision={revision!r}, and {folder} is a folder; leave it out"
                )
            return folder
    if not is_of_hub(path):
        names = [p.name for p in SHIPPED.iterdir()] if SHIPPED.is_dir() else []
        raise CheckpointError(f"{_absent(path)}{suggest(str(path), names)}")
    try:
        return fetch_folder(str(path), revision, token)
    except CheckpointError as error:
        raise CheckpointError(f"{_absent(path)}; {error}") from error


def check_model_path(path: str | Path) -> None:
    """Refuse what names no model, before anything is imported for it; of the hub nothing is asked.

    A folder or file of encoders passes, and so does a run's.

    Raises:
        CheckpointError: there is no such folder, file, shipped model or name.
    """
    file = Path(path)
    if not (is_run(path) or is_of_hub(path) or file.is_file() or (file / ENCODER_CONFIG).is_file()):
        find(path)


def is_of_hub(path: str | Path) -> bool:
    """Return True for a name that a repository of the hub may have, and nothing here has."""
    return not Path(path).exists() and REPOSITORY.fullmatch(str(path)) is not None


def _absent(path: str | Path) -> str:
    return f"no model at {path!s}: neither a folder with a {CONFIG} nor a shipped model"


def is_run(path: str | Path) -> bool:
    """Return True for the folder of a run, or a checkpoint in one."""
    path = Path(path)
    folder = path.parent.parent if path.suffix == ".ckpt" else path
    return (folder / RUN_FILE).is_file()


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
