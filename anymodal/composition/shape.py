"""The shape of a model's configuration: keys, names, nodes and amounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anymodal.config import ConfigError, shorten, suggest
from anymodal.config.printable import printable
from anymodal.language.token_names import MAX_POINTERS, MAX_SIGNALS, check_name

Config = Mapping[str, Any]
"""A resolved configuration: plain containers by name."""

KEYS = (
    *("parts", "language", "projection", "fusion", "modalities"),
    *("history_turns", "history_notice", "media_first", "num_pointers"),
    *("lora", "weights", "trained", "trusted_packages"),
)
MAX_NOTICE = 1000
SETTING_KEYS = ("num_signal_tokens", "sampling", "null_request")
MODALITY_KEYS = ("encoder", "decoder", "head", "speaker", *SETTING_KEYS)
"""Parts, and what isn't one."""

_MOST = {
    **dict.fromkeys(("depth", "blocks", "layers", "heads", "experts", "r", "frames"), 4096),
    **dict.fromkeys(("size", "height", "width", "num_tokens", "seconds"), 65_536),
    **{"num_signal_tokens": MAX_SIGNALS, "steps": 1000},
}
_MOST_OF_ALL = 1_000_000
"""The largest numbers in a folder's configuration, by key; more than any model has."""


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
        # Without any modality of its own, a language model may still read media by itself.
        if not config.get(key) and config.get(key) != {}:
            raise ConfigError(f"a model needs {key!r}")
    for name, node in (config.get("parts") or {}).items():
        _check_label(name, "a part", "parts")
        _check_node(node, f"parts.{name}")
    for key in ("language", "projection", "fusion"):
        _check_node(config.get(key), key)
    for name, node in config["modalities"].items():
        _check_label(name, "a modality", "modalities")
        place = f"modalities.{name}"
        if not isinstance(node, Mapping):
            raise ConfigError(
                f"{place} must hold an encoder, a decoder, both, or a speaker, not {shorten(node)}"
            )
        _check_keys(node, MODALITY_KEYS, place)
        for key in ("encoder", "decoder", "head", "speaker"):
            _check_node(node.get(key), f"{place}.{key}")
    turns = config.get("history_turns")
    if not isinstance(turns, int | None) or isinstance(turns, bool):
        raise ConfigError(f"history_turns must be a number of turns, not {shorten(turns)}")
    notice = config.get("history_notice", "")
    if not isinstance(notice, str) or len(notice) > MAX_NOTICE:
        raise ConfigError(
            f"history_notice must be a text of at most {MAX_NOTICE} characters, not "
            f"{shorten(notice)}"
        )
    if not isinstance(config.get("media_first", False), bool):
        raise ConfigError(
            f"media_first must be true or false, not {shorten(config['media_first'])}"
        )
    pointers = config.get("num_pointers", 0)
    if type(pointers) is not int or not 0 <= pointers <= MAX_POINTERS:
        raise ConfigError(f"num_pointers must be 0 to {MAX_POINTERS}, not {shorten(pointers)}")
    part_names = config.get("trained") or []
    if not isinstance(part_names, list) or not all(isinstance(name, str) for name in part_names):
        raise ConfigError(f"trained must be a list of parts, not {shorten(part_names)}")


def _check_node(node: object, place: str) -> None:
    """Check that a node builds something; its target and arguments are checked elsewhere."""
    if node and not (isinstance(node, Mapping) and node.keys() & {"_target_", "_part_"}):
        raise ConfigError(f"{place} must name what builds it (_target_: …), not {shorten(node)}")


def _check_label(name: object, description: str, place: str) -> None:
    try:
        check_name(name, description)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from error


def _check_keys(node: Config, keys: Sequence[str], place: str) -> None:
    for key in node:
        if key not in keys:
            raise ConfigError(f"{place} has no {key!r}{suggest(key, keys)}")


def check_amounts(node: object, place: str, key: str = "") -> None:
    """Refuse numbers beyond what any model has."""
    label = printable(place)
    if isinstance(node, Mapping):
        if not str(node.get("_target_", "anymodal.")).startswith("anymodal."):
            return  # what somebody's own part takes, its author knows
        for name, value in node.items():
            if name != "sampling":  # `ranges` knows the limits of those
                check_amounts(value, f"{place}.{name}".lstrip("."), str(name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            check_amounts(value, f"{place}[{index}]", key)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        most = _MOST.get(key, _MOST_OF_ALL)
        if not abs(node) <= most:  # NaN isn't, either
            raise ValueError(f"{label} is {printable(repr(node)[:40])}; {most:,} is the most here")
