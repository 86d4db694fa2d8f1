"""YAML files with bases, overrides and schemas, by OmegaConf."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from anymodal.config.values import ConfigError, check_schema, shorten, suggest
from anymodal.config.yaml_files import parse_yaml, read_yaml

Schema = TypeVar("Schema")


HERE = "${here}"
"""In a configuration file, the folder that it lies in."""


def load_config(
    path: str | Path, overrides: Iterable[str] = (), schema: type | None = None
) -> dict[str, Any]:
    """Read a YAML file, apply `key=value` overrides, resolve `${…}`, and return plain containers.

    A top-level `base: other.yaml` (or a list of them) is read first and merged under the file.
    `${here}` is the folder of the file that says it, in an override that of `path`. An override of
    a key that doesn't exist is an error with a suggestion, unless it is written `+key=value`. A
    `schema`, a dataclass, gives keys their types and defaults.

    Raises:
        ConfigError: for a missing file, bad YAML, an unknown key or a broken interpolation.
    """
    config = _read_file(Path(path))
    with _explain_errors(str(path)):
        if schema is not None:
            check_schema(schema, OmegaConf.to_container(config, resolve=False))
            # Neither of the two is wanted afterwards, so nothing has to be copied.
            merged = OmegaConf.unsafe_merge(OmegaConf.structured(schema), config)
            config = typing.cast(DictConfig, merged)
        for override in overrides:
            _override(config, override, Path(path).parent, schema)
        container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return typing.cast(dict[str, Any], container)


@contextlib.contextmanager
def _explain_errors(place: str) -> Iterator[None]:
    """Within it, what OmegaConf refuses is a `ConfigError`."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{place}: {explain(error)}") from error
    except (TypeError, ValueError, RecursionError) as error:  # OmegaConf's own, in merging
        raise ConfigError(f"{place}: {_first_line(error)}") from error


def structured(schema: type[Schema], config: Mapping[str, Any], place: str) -> Schema:
    """A schema's object with a configuration's values.

    Raises:
        ConfigError: for an unknown key (with a suggestion), a missing one or a wrong type.
    """
    with _explain_errors(place):
        check_schema(schema, config)
        node = OmegaConf.unsafe_merge(OmegaConf.structured(schema), dict(config))
        settings = OmegaConf.to_object(node)
    assert isinstance(settings, schema)
    return settings


def _read_file(path: Path, above: tuple[Path, ...] = ()) -> DictConfig:
    if not _exists(path):
        raise ConfigError(
            f"no configuration file at {shorten(str(path), 500)[1:-1]}{_neighbour(path)}"
        )
    if path.resolve() in above:
        raise ConfigError(f"{path} is its own base; take it out of `base`")
    try:
        config = read_yaml(path)
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder; name a configuration file") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} must hold a mapping at the top, not {type(config).__name__}")
    bases = config.pop("base", [])
    bases = bases if isinstance(bases, list) else [bases]
    if not all(isinstance(base, str) for base in bases):
        raise ConfigError(
            f"{path}: base must be a file's name or a list of them, not {shorten(bases)}"
        )
    # A base may have bases; `above` has the files on the way here, so that a circle ends.
    below = [_read_file(path.parent / base, (*above, path.resolve())) for base in bases]
    with _explain_errors(str(path)):
        node = OmegaConf.unsafe_merge(*below, OmegaConf.create(resolve_here(config, path.parent)))
    assert isinstance(node, DictConfig)
    return node


def _neighbour(path: Path) -> str:
    if not _exists(path.parent):
        return ""
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")])
    return f"; did you mean {near[0]}?" if near else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def resolve_here(node: object, folder: Path) -> Any:
    """A node of a file in `folder`, with that folder for every `${here}`."""
    if isinstance(node, dict):
        return {key: resolve_here(value, folder) for key, value in node.items()}
    if isinstance(node, list):
        return [resolve_here(value, folder) for value in node]
    return node.replace(HERE, str(folder.resolve())) if isinstance(node, str) else node


def _override(config: DictConfig, override: str, folder: Path, schema: type | None) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise ConfigError(f"override {override!r} is not of the form key=value")
    if key.startswith("+"):
        key = key[1:]
    else:
        _require_key(config, key)
    try:
        value = resolve_here(parse_yaml(text, f"override {override!r}"), folder)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if schema is not None:
        tree = value
        for name in reversed(key.split(".")):
            tree = {name: tree}
        check_schema(schema, tree)
    # Merged: `optimizer={lr: 1}` leaves the mapping's other keys as they are.
    OmegaConf.update(config, key, value, merge=True)


def _require_key(config: DictConfig, key_path: str) -> None:
    node: Node | None = config
    prefix: list[str] = []
    for name in key_path.split("."):
        # Among the keys: `in` denies those of a schema that have no value yet.
        names = [str(key) for key in node.keys()] if isinstance(node, DictConfig) else []  # noqa: SIM118
        if name not in names:
            place = ".".join(prefix) or "the configuration"
            raise ConfigError(
                f"{place} has no key {name!r}{suggest(name, names)}"
                f" (write +{key_path}=… to add a new key)"
            )
        assert isinstance(node, DictConfig), "a key was found in it"
        node = node._get_node(name)
        prefix.append(name)


def explain(error: OmegaConfBaseException) -> str:
    """OmegaConf's error in a line: the key, what is wrong, and the nearest right key."""
    line, key = _first_line(error), str(error.full_key or "")
    unknown = isinstance(error, ConfigKeyError | ConfigAttributeError)
    if unknown and dataclasses.is_dataclass(error.object_type):
        names = [field.name for field in dataclasses.fields(error.object_type)]
        return f"there is no key {key!r}{suggest(str(error.key), names)}"
    return f"{key}: {line}" if key and key not in line else line


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
