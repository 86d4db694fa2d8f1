"""Models from configurations and folders, and back.

A model's configuration has `parts` (shared objects that have files of their own), `language`,
`projection`, `modalities` by name, `lora`, `weights`: folders of weights to start from, and
`trained`: parts whose weights a stage has changed, so that their own files no longer hold them. A
folder has that configuration, the trained weights and a manifest of what each part is.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import yaml
from torch import Tensor, nn

from anymodal import checkpoint, processes, ranges
from anymodal import config as configuration
from anymodal.checkpoint import CONFIG, WEIGHTS, CheckpointError
from anymodal.config import ConfigError, suggest
from anymodal.language import LanguageModel
from anymodal.modality import Modality
from anymodal.sources import fingerprint, write_card

if TYPE_CHECKING:
    from anymodal.model import AnyModal

Model = TypeVar("Model", bound="AnyModal")

SHIPPED = Path(__file__).parent / "checkpoints"
"""Where the models that come with the package lie."""

KEYS = (
    *("parts", "language", "projection", "modalities", "memory"),
    *("lora", "weights", "trained", "allow"),
)
MODALITY_KEYS = ("encoder", "decoder", "head", "signals", "sampling")


def compose(
    cls: type[Model], config: Mapping[str, Any] | str | Path, allow: Sequence[str]
) -> Model:
    """Build a model from a configuration, or from the YAML file that holds one.

    What each part is goes to the standard error stream.

    Raises:
        ConfigError: before anything is built, if a key or an argument doesn't fit.
    """
    model = _composed(cls, config, allow)
    _tell(checkpoint.origins(identities(model)))
    return model


def _tell(lines: Iterable[str]) -> None:
    if processes.speaks():
        for line in lines:
            print(line, file=sys.stderr)


def _composed(
    cls: type[Model], config: Mapping[str, Any] | str | Path, allow: Sequence[str]
) -> Model:
    if isinstance(config, str | Path):
        config = configuration.load(config)
    allow = [*allow, *config.get("allow", [])]
    validate(config, allow)
    parts = configuration.build_parts(config.get("parts"), allow)

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
    fitting = {"output_width": language.width, "output_scale": language.embedding_scale}
    projection = build(config.get("projection"), widths=widths, **fitting)
    kept = copy.deepcopy(dict(config))
    model = cls(language, projection, modalities, kept, config.get("memory"))
    for part in (*model.encoders.values(), *model.decoders.values()):
        part.requires_grad_(False)  # until a stage says otherwise
    for folder in kept.pop("weights", []):
        start_from(model, Path(folder))
    return model


def start_from(model: AnyModal, folder: Path) -> None:
    """Give a model the weights of a folder, of some of what no part's own files hold.

    Token rows are those of the signals, which come first.

    Raises:
        CheckpointError: if a name or a shape is none of the model's.
    """
    saved = checkpoint.load_weights(folder / WEIGHTS)
    own = own_weights(model)
    for name in ("language.rows", "language.output_rows"):
        if name in saved and name in own:
            count = sum(model.signals.counts.values())
            own[name] = own[name].detach()[:count]  # a view: what is copied there is the model's
    wanted = {name: own[name] for name in saved if name in own}
    checkpoint.compare_shapes(saved, wanted, str(folder / WEIGHTS))
    with torch.no_grad():
        for name, value in saved.items():
            wanted[name].copy_(value)
    origins = checkpoint.read_manifest(folder).values()
    _tell(checkpoint.notice(str(folder), origin) for origin in origins)


def validate(config: Mapping[str, Any], allow: Sequence[str] = ()) -> None:
    """Check a model's configuration, building nothing.

    Raises:
        ConfigError: naming the place, the wrong key and the nearest right one.
    """
    _check_keys(config, KEYS, "a model")
    for key in ("language", "modalities"):
        if not config.get(key):
            raise ConfigError(f"a model needs {key!r}")
    parts = configuration.validate_parts(config.get("parts"), allow)
    configuration.validate(config["language"], parts=parts, allow=allow, place="language")
    for name, node in config["modalities"].items():
        _validate_modality(f"modalities.{name}", node, parts, allow)
        _validate_sampling(f"modalities.{name}.sampling", node, config.get("parts") or {}, allow)
    read = [name for name, node in config["modalities"].items() if node.get("encoder")]
    if read and not config.get("projection"):
        raise ConfigError(f"a model that reads {', '.join(read)} needs a 'projection'")
    configuration.validate(
        config.get("projection"),
        provided=("widths", "output_width", "output_scale"),
        parts=parts,
        allow=allow,
        place="projection",
    )
    weights = config.get("weights", [])
    if not isinstance(weights, list) or not all(isinstance(item, str) for item in weights):
        raise ConfigError(f"weights must be a list of folders, not {weights!r}")
    if lora := config.get("lora"):
        configuration.check_arguments(LanguageModel.enable_lora, lora, "lora")


def _validate_modality(place: str, node: Any, parts: Sequence[str], allow: Sequence[str]) -> None:
    if not isinstance(node, Mapping):
        raise ConfigError(f"{place} must hold an encoder, a decoder or both, not {node!r}")
    _check_keys(node, MODALITY_KEYS, place)
    given = ("input_width", "signals", "spec")
    for key, provided in (("encoder", ()), ("decoder", ()), ("head", given)):
        configuration.validate(
            node.get(key), provided=provided, parts=parts, allow=allow, place=f"{place}.{key}"
        )
    settings = {key: node[key] for key in ("signals", "sampling") if key in node}
    configuration.check_arguments(Modality, settings, place)
    if node.get("decoder") and not (node.get("head") and node.get("signals")):
        raise ConfigError(
            f"{place} has a decoder, so it needs a 'head' and at least 1 in 'signals'"
        )


def _validate_sampling(
    place: str, node: Mapping[str, Any], parts: Mapping[str, Any], allow: Sequence[str]
) -> None:
    decoder = node.get("decoder") or {}
    decoder = parts[decoder["_part_"]] if "_part_" in decoder else decoder
    sample = None
    if "_target_" in decoder:
        target = configuration.resolve_target(decoder["_target_"], allow)
        sample = getattr(getattr(target, "__self__", target), "sample", None)
    try:
        ranges.medium(node.get("sampling", {}), sample, place=place)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _check_keys(node: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in node:
        if key not in known:
            raise ConfigError(f"{place} has no {key!r}{suggest(key, known)}")


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


def from_pretrained(
    cls: type[Model],
    path: str | Path,
    lora: Mapping[str, Any] | None,
    allow: Sequence[str] = (),
) -> Model:
    """Read a model folder; nothing but AnyModal's own parts, and `allow`, is imported for it.

    Raises:
        CheckpointError: if a file is missing or damaged, or weights or parts don't fit.
    """
    folder = find(path)
    config = read_config(folder)
    manifest = checkpoint.read_manifest(folder)
    saved = checkpoint.load_weights(folder / WEIGHTS)
    trained = any(name.startswith("decoders.") for name in config.get("trained", ()))
    # A decoder whose weights are in this folder is opened at once, so that they find it.
    with configuration.calling(configuration.call) if trained else nullcontext():
        model = _composed(cls, config, allow)
    checkpoint.compare_parts(manifest, identities(model, False), str(folder))
    checkpoint.compare_shapes(saved, own_weights(model), str(folder / WEIGHTS))
    model.load_state_dict({key: value.float() for key, value in saved.items()}, strict=False)
    # Again, with the weights, now that what stages have changed is in its place.
    parts = identities(model)
    checkpoint.compare_parts(manifest, parts, str(folder))
    _tell(checkpoint.origins(parts))
    if lora and not config.get("lora"):
        model.language.enable_lora(**lora)
        config["lora"] = dict(lora)
    model.config = config
    return model.eval()


def sketch(
    cls: type[Model],
    path: str | Path | Model,
    lora: Mapping[str, Any] | None,
    allow: Sequence[str] = (),
) -> Model:
    """What `from_pretrained` would give, where parts are sketched too (`anymodal.planning`).

    `path` may also be a sketch of what will lie there.
    """
    model = compose(cls, read_config(find(path)), allow) if isinstance(path, str | Path) else path
    config = dict(model.config or {})
    if lora and not config.get("lora"):
        model.language.enable_lora(**lora)
        model.config = {**config, "lora": dict(lora)}
    return model


def read_config(folder: Path) -> dict[str, Any]:
    """A model folder's configuration. It may be a stranger's: it gets the folder's own path and
    nothing else from this machine, so no other file, no environment variable.
    """
    path = folder / CONFIG
    try:
        config = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not valid YAML") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} must hold a mapping at the top")
    config.pop("allow", None)  # nor has it a say in whom to trust
    found: dict[str, Any] = configuration.placed(config, folder)
    return found


def own_weights(model: AnyModal) -> dict[str, Tensor]:
    """The weights that no part's own files hold: projection, heads, new rows, adapters, and the
    parts that a stage has changed.
    """
    changed = [f"{name}." for name in (model.config or {}).get("trained", ())]
    own = ("projection.", "heads.", "language.rows", "language.output_rows", *changed)
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith(own) or "lora_" in name
    }


def _note_trained(model: AnyModal) -> None:
    """Enter the parts that are training into the configuration, for good."""
    assert model.config is not None
    own = own_weights(model)
    names = [n for n, p in model.named_parameters() if p.requires_grad and n not in own]
    changed = {".".join(name.split(".")[:2]) for name in names}
    if changed:
        trained = sorted({*model.config.get("trained", ()), *changed})
        model.config = {**model.config, "trained": trained}


def identities(model: AnyModal, weights: bool = True) -> dict[str, Any]:
    """What each part is, for the manifest, with a hash of the weights that it has in memory."""
    found: dict[str, Any] = {"language": model.language.identity()}
    for name, modality in model.modalities.items():
        if modality.encoder is not None:
            found[f"encoder.{name}"] = modality.encoder.identity()
        if modality.decoder is not None:
            found[f"decoder.{name}"] = modality.decoder.identity()
    if model.projection is not None and (told := model.projection.identity()):
        found["projection"] = told
    held: dict[str, Any] = {"language": model.language}
    held |= {f"encoder.{name}": part for name, part in model.encoders.items()}
    held |= {f"decoder.{name}": part for name, part in model.decoders.items()}
    for name, part in held.items():
        here = [not weight.is_meta for weight in part.parameters()]
        if weights and here and all(here):
            found[name] = {**found[name], "weights": fingerprint(part)}
    return found


def save_pretrained(model: AnyModal, folder: Path, with_parts: bool) -> None:
    """Write a model folder; an existing one is replaced as a whole, or stays as it is.

    Raises:
        ValueError: for a model composed from objects alone, of which no configuration is known.
    """
    if model.config is None:
        raise ValueError(
            "this model was put together from objects; to save it, use AnyModal.compose(config), "
            "give the constructor config=… with the same parts, or add_modality encoder=…"
        )
    _note_trained(model)
    config = copy.deepcopy(dict(model.config))
    weights, manifest = own_weights(model), identities(model)
    with checkpoint.replacing_folder(folder) as temporary:
        if with_parts:
            _save_parts(model, config, temporary)
            changed = tuple(f"{name}." for name in config.pop("trained", ()))
            weights = {
                name: value
                for name, value in weights.items()
                if "lora_" in name or not name.startswith(changed)
            }
        (temporary / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))
        checkpoint.save_weights(weights, temporary / WEIGHTS)
        checkpoint.write_manifest(temporary, manifest)


def _save_parts(model: AnyModal, config: dict[str, Any], folder: Path) -> None:
    """Write every part beside the configuration, and point the configuration at it."""
    parts = config.get("parts") or {}
    saved: dict[str, Any] = {}
    for label, node, module in _nodes(model, config):
        if "_part_" in node:
            label, node = node["_part_"], parts[node["_part_"]]
        if label in saved or not node["_target_"].endswith(".from_pretrained"):
            continue
        target = configuration.resolve_target(node["_target_"], config.get("allow", ()))
        module.save_pretrained(folder / label)
        write_card(folder / label, getattr(module, "source", None) or {})
        node[next(iter(inspect.signature(target).parameters))] = f"{configuration.HERE}/{label}"
        saved[label] = module
    modules = [part for part in saved.values() if isinstance(part, nn.Module)]
    held = {id(weight) for module in modules for weight in module.parameters()}
    own = own_weights(model)
    lost = [n for n, p in model.named_parameters() if id(p) not in held and n not in own]
    lost = sorted({".".join(name.split(".")[:2]) for name in lost} | (parts.keys() - saved.keys()))
    if lost:
        raise ConfigError(
            f"with_parts=True saves parts that a `from_pretrained` builds, which {', '.join(lost)} "
            "is not; save it yourself and point the configuration at its folder"
        )


def _nodes(model: AnyModal, config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """What may have files of its own: a label, its place in the configuration, and its object."""
    yield "language", config["language"], model.language
    if model.projection is not None:
        yield from _within("projection", config["projection"], model.projection)
    for modality, settings in config["modalities"].items():
        for key, modules in (("encoder", model.encoders), ("decoder", model.decoders)):
            if not (node := settings.get(key)):
                continue
            yield f"{modality}-{key}", node, modules[modality]
            yield from _within(modality, node, modules[modality])


def _within(
    label: str, node: dict[str, Any], part: Any
) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Of a part, the arguments that are objects themselves."""
    for argument, inner in node.items():
        if isinstance(inner, dict) and inner.keys() & {"_part_", "_target_"}:
            yield f"{label}-{argument}", inner, getattr(part, argument, None)
