"""A model's configuration, checked before anything is built of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

from anymodal import config as configuration
from anymodal.composition.shape import SETTING_KEYS, Config, check_amounts, check_shape
from anymodal.config import ConfigError, ranges, shorten
from anymodal.io.recorded import OPENS, Recorded
from anymodal.language.model import LanguageModel
from anymodal.language.token_names import MAX_SIGNALS
from anymodal.modality import Modality

_BUILT = ("parts", "language", "projection", "fusion", "modalities")
_FACTORIES = (OPENS, "preset")


def validate_model(config: Config, trusted_packages: Sequence[str] = ()) -> None:
    """Check a model's configuration, building nothing.

    Raises:
        ConfigError: naming the place, the wrong key and the nearest right one.
    """
    check_shape(config)
    _check_targets({k: v for k, v in config.items() if k in _BUILT}, trusted_packages, "")
    try:
        check_amounts(config, "")
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
    inputs = [name for name, node in config["modalities"].items() if node.get("encoder")]
    if inputs and not (config.get("projection") or config.get("fusion")):
        raise ConfigError(
            f"a model that reads {', '.join(inputs)} needs a 'projection', or a 'fusion'"
        )
    configuration.validate_node(
        config.get("fusion"),
        provided=("widths",),
        parts=parts,
        trusted_packages=trusted_packages,
        place="fusion",
    )
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


def _validate_modality(
    place: str, node: Config, parts: Sequence[str], trusted_packages: Sequence[str]
) -> None:
    head_arguments = ("input_width", "num_signal_tokens", "spec")
    arguments = {"encoder": (), "decoder": (), "head": head_arguments, "speaker": ()}
    for key, provided in arguments.items():
        configuration.validate_node(
            node.get(key),
            provided=provided,
            parts=parts,
            trusted_packages=trusted_packages,
            place=f"{place}.{key}",
        )
    settings = {key: node[key] for key in SETTING_KEYS if key in node}
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
    if node.get("decoder") and node.get("speaker"):
        raise ConfigError(
            f"{place} has a decoder and a speaker; make two modalities of them, each with one"
        )
    if node.get("decoder") and not (node.get("head") and node.get("num_signal_tokens")):
        raise ConfigError(
            f"{place} has a decoder, so it needs a 'head' and at least 1 in 'num_signal_tokens'"
        )


def _validate_sampling(
    place: str, node: Config, parts: Config, trusted_packages: Sequence[str]
) -> None:
    if node.get("speaker"):
        return  # it knows the names of its voices and its settings itself
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
    """Return whether a target gives a part of a model and does nothing else."""
    owner = getattr(target, "__self__", target)
    if not (inspect.isclass(owner) and issubclass(owner, Recorded)) or inspect.isabstract(owner):
        return False
    return owner is target or getattr(target, "__name__", "") in _FACTORIES
