"""Models from configurations and folders, and back.

A model's configuration has `parts` (shared objects that have files of their own), `language`,
`projection`, `modalities` by name, and `lora`. A folder has that configuration, the trained
weights and a manifest of what each part is.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from torch import Tensor, nn

from anymodal import checkpoint
from anymodal import config as configuration
from anymodal.checkpoint import CONFIG, WEIGHTS, CheckpointError
from anymodal.config import ConfigError, suggest
from anymodal.modality import Modality

if TYPE_CHECKING:
    from anymodal.model import AnyModal

Model = TypeVar("Model", bound="AnyModal")

SHIPPED = Path(__file__).parent / "checkpoints"
"""Where the models that come with the package lie."""

KEYS = ("parts", "language", "projection", "modalities", "lora", "allow", "here")
MODALITY_KEYS = ("encoder", "decoder", "head", "signals", "sampling")


def compose(
    cls: type[Model], config: Mapping[str, Any] | str | Path, allow: Sequence[str]
) -> Model:
    """Build a model from a configuration, or from the YAML file that holds one.

    Raises:
        ConfigError: before anything is built, if a key or an argument doesn't fit.
    """
    if isinstance(config, str | Path):
        config = configuration.load(config)
    allow = [*allow, *config.get("allow", [])]
    validate(config, allow)
    parts = configuration.build_parts(config, allow)

    def build(node: Any, **extra: Any) -> Any:
        return configuration.instantiate(node, parts=parts, allow=allow, **extra)

    language = build(config["language"])
    if config.get("lora"):
        language.enable_lora(**config["lora"])
    modalities = {}
    for name, node in config["modalities"].items():
        settings = dict(node)
        settings["encoder"] = build(node.get("encoder"))
        settings["decoder"] = decoder = build(node.get("decoder"))
        if decoder is not None:
            known = {"input_width": language.width, "signals": node.get("signals", 0)}
            settings["head"] = build(node.get("head"), spec=decoder.spec, **known)
        modalities[name] = Modality(**settings)
    widths = {name: m.encoder.width for name, m in modalities.items() if m.encoder is not None}
    projection = build(config.get("projection"), widths=widths, output_width=language.width)
    return cls(language, projection, modalities, copy.deepcopy(dict(config)))


def validate(config: Mapping[str, Any], allow: Sequence[str] = ()) -> None:
    """Check a model's configuration, building nothing.

    Raises:
        ConfigError: naming the place, the wrong key and the nearest right one.
    """
    for key in config:
        if key not in KEYS:
            raise ConfigError(f"a model has no {key!r}{suggest(key, KEYS)}")
    for key in ("language", "modalities"):
        if not config.get(key):
            raise ConfigError(f"a model needs {key!r}")
    for name, node in config["modalities"].items():
        for key in node:
            if key not in MODALITY_KEYS:
                raise ConfigError(f"modalities.{name} has no {key!r}{suggest(key, MODALITY_KEYS)}")
        given = ("input_width", "signals", "spec")
        head = node.get("head")
        configuration.validate(head, provided=given, allow=allow, place=f"modalities.{name}.head")
        for key in ("encoder", "decoder"):
            configuration.validate(node.get(key), allow=allow, place=f"modalities.{name}.{key}")
    given = ("widths", "output_width")
    configuration.validate(
        config.get("projection"), provided=given, allow=allow, place="projection"
    )
    for key in ("parts", "language"):
        configuration.validate(config.get(key), allow=allow, place=key)


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
    shipped = [p.name for p in SHIPPED.iterdir()] if SHIPPED.is_dir() else []
    raise CheckpointError(
        f"no model at {path!s}: neither a folder with a {CONFIG} nor a shipped model"
        f"{suggest(str(path), shipped)}"
    )


def from_pretrained(cls: type[Model], path: str | Path, lora: Mapping[str, Any] | None) -> Model:
    """Read a model folder; nothing outside AnyModal's own package is imported for it.

    Raises:
        CheckpointError: if a file is missing or damaged, or weights or parts don't fit.
    """
    folder = find(path)
    config = configuration.load(folder / CONFIG)
    config.pop("allow", None)  # a downloaded file has no say in whom to trust
    model = compose(cls, config, ())
    checkpoint.check_manifest(folder, identities(model))
    saved = checkpoint.load_weights(folder / WEIGHTS)
    wanted = trained(model)
    extra = {key: value for key, value in model.state_dict().items() if key in saved}
    checkpoint.compare_shapes(saved, {**wanted, **extra}, str(folder / WEIGHTS))
    model.load_state_dict({key: value.float() for key, value in saved.items()}, strict=False)
    if lora and not config.get("lora"):
        model.language.enable_lora(**lora)
        config["lora"] = dict(lora)
    model.config = config
    return model.eval()


def trained(model: AnyModal) -> dict[str, Tensor]:
    """The weights that make the composition: projection, heads, new rows, adapters, what trained.

    What a part's own files hold, and no stage has trained, is not among them.
    """
    own = ("projection.", "heads.", "language.rows", "language.output_rows")
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith(own) or "lora_" in name or parameter.requires_grad
    }


def identities(model: AnyModal) -> dict[str, Any]:
    """What each part is, for the manifest."""
    found: dict[str, Any] = {"language": model.language.identity()}
    for kind, parts in (("encoder", model.encoders), ("decoder", model.decoders)):
        found |= {f"{kind}.{name}": part.identity() for name, part in parts.items()}
    return found


def save_pretrained(model: AnyModal, folder: Path, with_parts: bool) -> None:
    """Write a model folder; an existing one is replaced as a whole, or stays as it is.

    Raises:
        ValueError: for a model composed from objects alone, of which no configuration is known.
    """
    if model.config is None:
        raise ValueError(
            "this model was put together from objects; to save it, use AnyModal.compose(config), "
            "or give the constructor config=… with the same parts"
        )
    config = copy.deepcopy({k: v for k, v in model.config.items() if k != "here"})
    with checkpoint.replacing_folder(folder) as temporary:
        if with_parts:
            _save_parts(model, config, temporary)
        (temporary / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))
        checkpoint.save_weights(trained(model), temporary / WEIGHTS)
        checkpoint.write_manifest(temporary, identities(model))


def _save_parts(model: AnyModal, config: dict[str, Any], folder: Path) -> None:
    """Write every part beside the configuration, and point the configuration at it."""
    for name, node in (config.get("parts") or {}).items():
        target = configuration.resolve_target(node["_target_"])
        source = next(iter(inspect.signature(target).parameters))
        _part(model, config, name).save_pretrained(folder / name)
        node[source] = f"${{here}}/{name}"


def _part(model: AnyModal, config: Mapping[str, Any], name: str) -> nn.Module:
    """The object that a part's name stands for in a composed model."""
    if config["language"] == {"_part_": name}:
        return model.language
    for modality, node in config["modalities"].items():
        for key, modules in (("encoder", model.encoders), ("decoder", model.decoders)):
            inner = node.get(key)
            if inner == {"_part_": name}:
                return modules[modality]
            for argument, value in (inner or {}).items():
                if value == {"_part_": name}:
                    part = getattr(modules[modality], argument)
                    assert isinstance(part, nn.Module)
                    return part
    raise ConfigError(f"part {name!r} is used by no modality; remove it from `parts`")
