"""A model's configuration, checked before anything is built of it, and a folder's, which may be a
stranger's.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anymodal import config as configuration
from anymodal.config import ConfigError, ranges, shorten, suggest
from anymodal.config.printable import printable
from anymodal.config.yaml_files import read_yaml
from anymodal.io.checkpoint import CONFIG, CheckpointError
from anymodal.io.recorded import OPENS, Recorded
from anymodal.language.model import LanguageModel
from anymodal.language.signal_tokens import MAX_SIGNALS, check_name
from anymodal.modality import Modality

KEYS = (
    *("parts", "language", "projection", "modalities", "history_turns"),
    *("lora", "weights", "trained", "trusted_packages"),
)
MODALITY_KEYS = ("encoder", "decoder", "head", "num_signal_tokens", "sampling")

_MOST = {
    **dict.fromkeys(("depth", "blocks", "layers", "heads", "experts", "r", "frames"), 4096),
    **dict.fromkeys(("size", "height", "width", "num_tokens", "seconds"), 65_536),
    **{"num_signal_tokens": MAX_SIGNALS, "steps": 1000},
}
_MOST_OF_ALL = 1_000_000
"""What a folder's configuration may ask for, under which key; more than any model has."""
_BUILT = ("parts", "language", "projection", "modalities")
_FACTORIES = (OPENS, "preset")
Config = Mapping[str, Any]
"""A resolved configuration: plain containers by name."""
_NAMES = re.compile(r"[\w.-]{1,256}", re.ASCII)


def validate_model(config: Config, trusted_packages: Sequence[str] = ()) -> None:
    """Check a model's configuration, building nothing.

    Raises:
        ConfigError: naming the place, the wrong key and the nearest right one.
    """
    check_shape(config)
    _check_targets({k: v for k, v in config.items() if k in _BUILT}, trusted_packages, "")
    try:
        _check_amounts(config, "")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    parts = configuration.validate_parts(config.get("parts"), trusted_packages)
    configuration.validate_node(
        config["language"], parts=parts, trusted_packages=trusted_packages, place="language"
    )
    for name, node in config["modalities"].items():
        _validate_modality(f"modalities.{name}", node, parts, trusted_packages)
        _validate_sampling(
            f"modalities.{name}.sampling", node, config.get("parts") or {}, trusted_packages
        )
    read = [name for name, node in config["modalities"].items() if node.get("encoder")]
    if read and not config.get("projection"):
        raise ConfigError(f"a model that reads {', '.join(read)} needs a 'projection'")
    configuration.validate_node(
        config.get("projection"),
        provided=("widths", "output_width", "output_scale"),
        parts=parts,
        trusted_packages=trusted_packages,
        place="projection",
    )
    weights = config.get("weights", [])
    if not isinstance(weights, list) or not all(isinstance(item, str) for item in weights):
        raise ConfigError(f"weights must be a list of folders, not {shorten(weights)}")
    if lora := config.get("lora"):
        if not isinstance(lora, Mapping):
            raise ConfigError(f"lora must hold settings of adapters, not {shorten(lora)}")
        configuration.check_arguments(LanguageModel.enable_lora, lora, "lora")


def check_shape(config: Config) -> None:
    """Check that everything in a model's configuration is of its kind: names, nodes and numbers.

    Raises:
        ConfigError: naming the place and what must be there.
    """
    _check_keys(config, KEYS, "a model")
    for key in ("parts", "modalities"):
        if not isinstance(config.get(key) or {}, Mapping):
            raise ConfigError(f"{key} must be a mapping by name, not {shorten(config[key])}")
    for key in ("language", "modalities"):
        if not config.get(key):
            raise ConfigError(f"a model needs {key!r}")
    for name, node in (config.get("parts") or {}).items():
        _check_label(name, "a part", "parts")
        _check_node(node, f"parts.{name}")
    for key in ("language", "projection"):
        _check_node(config.get(key), key)
    for name, node in config["modalities"].items():
        _check_label(name, "a modality", "modalities")
        place = f"modalities.{name}"
        if not isinstance(node, Mapping):
            raise ConfigError(
                f"{place} must hold an encoder, a decoder or both, not {shorten(node)}"
            )
        _check_keys(node, MODALITY_KEYS, place)
        for key in ("encoder", "decoder", "head"):
            _check_node(node.get(key), f"{place}.{key}")
    turns = config.get("history_turns")
    if not isinstance(turns, int | None) or isinstance(turns, bool):
        raise ConfigError(f"history_turns must be a number of turns, not {shorten(turns)}")
    trained = config.get("trained") or []
    if not isinstance(trained, list) or not all(isinstance(name, str) for name in trained):
        raise ConfigError(f"trained must be a list of parts, not {shorten(trained)}")


def _check_node(node: object, place: str) -> None:
    """Whether a node builds something; what it builds is checked elsewhere."""
    if node and not (isinstance(node, Mapping) and node.keys() & {"_target_", "_part_"}):
        raise ConfigError(f"{place} must name what builds it (_target_: …), not {shorten(node)}")


def _check_label(name: object, what: str, place: str) -> None:
    try:
        check_name(name, what)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from error


def _validate_modality(
    place: str, node: Config, parts: Sequence[str], trusted_packages: Sequence[str]
) -> None:
    given = ("input_width", "num_signal_tokens", "spec")
    for key, provided in (("encoder", ()), ("decoder", ()), ("head", given)):
        configuration.validate_node(
            node.get(key),
            provided=provided,
            parts=parts,
            trusted_packages=trusted_packages,
            place=f"{place}.{key}",
        )
    settings = {key: node[key] for key in ("num_signal_tokens", "sampling") if key in node}
    configuration.check_arguments(Modality, settings, place)
    if not isinstance(node.get("sampling") or {}, Mapping):
        raise ConfigError(f"{place}.sampling must hold settings, not {shorten(node['sampling'])}")
    num_signal_tokens = node.get("num_signal_tokens", 0)
    if not isinstance(num_signal_tokens, int):  # a part, which no number can be
        raise ConfigError(
            f"{place}.num_signal_tokens must be int, not {shorten(num_signal_tokens)}"
        )
    if num_signal_tokens > MAX_SIGNALS:
        raise ConfigError(
            f"{place}.num_signal_tokens is {num_signal_tokens}; {MAX_SIGNALS} is the most"
        )
    if node.get("decoder") and not (node.get("head") and node.get("num_signal_tokens")):
        raise ConfigError(
            f"{place} has a decoder, so it needs a 'head' and at least 1 in 'num_signal_tokens'"
        )


def _validate_sampling(
    place: str, node: Config, parts: Config, trusted_packages: Sequence[str]
) -> None:
    decoder = node.get("decoder") or {}
    decoder = parts[decoder["_part_"]] if "_part_" in decoder else decoder
    sample = None
    if "_target_" in decoder:
        target = configuration.resolve_target(decoder["_target_"], trusted_packages)
        sample = getattr(getattr(target, "__self__", target), "sample", None)
    try:
        ranges.check_sampling(node.get("sampling", {}), sample, place=place)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _check_keys(node: Config, known: Sequence[str], place: str) -> None:
    for key in node:
        if key not in known:
            raise ConfigError(f"{place} has no {key!r}{suggest(key, known)}")


def _check_targets(node: object, trusted_packages: Sequence[str], place: str) -> None:
    """Of AnyModal's own, a model's configuration names parts alone: classes of `Recorded`, and
    their classmethods that open or build one. What a user allows beside them, the user trusts.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            _check_targets(item, trusted_packages, f"{place}[{index}]")
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        target = configuration.resolve_target(node["_target_"], trusted_packages)
        home = getattr(target, "__module__", "")
        if not _inside(home, trusted_packages) and not is_part(target):
            raise ConfigError(
                f"{place}: {node['_target_']} is no part of a model; name an encoder, a decoder, "
                "a head, a projection or a language model, or what opens one"
            )
    for key, value in node.items():
        _check_targets(value, trusted_packages, f"{place}.{key}".lstrip("."))


def _inside(home: str, roots: Sequence[str]) -> bool:
    return any(home == root or home.startswith(f"{root}.") for root in roots)


def is_part(target: object) -> bool:
    """Whether a target gives a part of a model and does nothing else."""
    owner = getattr(target, "__self__", target)
    if not (inspect.isclass(owner) and issubclass(owner, Recorded)) or inspect.isabstract(owner):
        return False
    return owner is target or getattr(target, "__name__", "") in _FACTORIES


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
        _check_amounts(config, "")
        _check_patterns(config, "")
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    resolved: dict[str, Any] = configuration.resolve_here(config, folder)
    return resolved


def _check_amounts(node: object, place: str, key: str = "") -> None:
    """Refuse numbers beyond what any model has."""
    where = printable(place)
    if isinstance(node, Mapping):
        if not str(node.get("_target_", "anymodal.")).startswith("anymodal."):
            return  # what somebody's own part takes, its author knows
        for name, value in node.items():
            if name != "sampling":  # `ranges` knows the limits of those
                _check_amounts(value, f"{place}.{name}".lstrip("."), str(name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_amounts(value, f"{place}[{index}]", key)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        most = _MOST.get(key, _MOST_OF_ALL)
        if not abs(node) <= most:  # NaN isn't, either
            raise ValueError(f"{where} is {printable(repr(node)[:40])}; {most:,} is the most here")


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
