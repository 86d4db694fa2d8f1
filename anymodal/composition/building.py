"""Models from configurations and folders, and back.

A model's configuration has `parts` (shared objects that have files of their own), `language`,
`projection`, `fusion`, `modalities` by name, `lora`, `weights`: folders of weights to start from,
and `trained`: parts whose weights a stage has changed, so that their own files no longer hold them.
A folder has that configuration, the trained weights and a manifest of what each part is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import Tensor

from anymodal import config as configuration
from anymodal.composition.bounded import building_at_most
from anymodal.composition.folders import find, read_config
from anymodal.composition.meta_device import build_without_weights, check_meta_device
from anymodal.composition.save import model_metadata, own_weights
from anymodal.composition.shape import SETTING_KEYS, Config
from anymodal.composition.starting import start_from
from anymodal.composition.validate import validate_model
from anymodal.config import BuildPart, ConfigError
from anymodal.decoders import Decoder, Speaker
from anymodal.decoders.deferred import DeferDecoders
from anymodal.encoders import Encoder
from anymodal.fusion import Fusion
from anymodal.heads import Head
from anymodal.io import checkpoint
from anymodal.io.checkpoint import CONFIG, WEIGHTS, CheckpointError
from anymodal.io.folder_check import check_folder
from anymodal.io.training_records import read_stages
from anymodal.language.lora import LoraSettings
from anymodal.language.model import LanguageModel
from anymodal.modality import Modality
from anymodal.projection import Projection

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

Model = TypeVar("Model", bound="ComposedModel")
Part = TypeVar("Part")

_SLACK = 10_000_000
"""Weights that may be missing in a folder, so that the difference is told name by name."""


def compose(
    cls: type[Model],
    config: Config | str | Path,
    trusted_packages: Sequence[str] = (),
    *,
    weights: bool = True,
    build_part: BuildPart = configuration.call,
) -> Model:
    """Build a model from a configuration, or from the YAML file that holds one.

    What each part is, and under which licence, is logged.

    Args:
        cls: the model's class.
        config: the configuration, or the YAML file that holds it.
        trusted_packages: packages whose parts it may use beside AnyModal's own.
        weights: without them, the model is on the meta device and no weight is read.
        build_part: how each part is built; see `config.instantiate`.

    Raises:
        ConfigError: before anything is built, if a key or an argument doesn't fit; or if a part
            can't be built without weights.
    """
    if not weights and build_part is configuration.call:
        build_part = build_without_weights
    model = _compose(cls, config, trusted_packages, weights, build_part)
    checkpoint.log_origins(model_metadata(model))
    return model


def _compose(
    cls: type[Model],
    config: Config | str | Path,
    trusted_packages: Sequence[str],
    weights: bool,
    build_part: BuildPart,
) -> Model:
    if isinstance(config, str | Path):
        config = configuration.load_config(config)
    # The user's own configuration may say whom it trusts; of a folder's, `read_config` drops that.
    trusted_packages = [*trusted_packages, *config.get("trusted_packages", [])]
    validate_model(config, trusted_packages)
    folders = [Path(folder) for folder in config.get("weights", [])] if weights else []
    # A decoder whose weights are in one of them is opened at once, so that they find it.
    if isinstance(build_part, DeferDecoders) and _hold_decoders(folders):
        build_part = configuration.call
    with nullcontext() if weights else torch.device("meta"):
        model = _build_model(cls, config, trusted_packages, build_part)
    check_meta_device(model, weights)
    start_from(model, *folders)
    return model


def _hold_decoders(folders: Iterable[Path]) -> bool:
    """Return whether any of the folders' weights are a decoder's."""
    names = (name for folder in folders for name in checkpoint.load_weights(folder / WEIGHTS))
    return any(name.startswith("decoders.") for name in names)


def _build_model(
    cls: type[Model],
    config: Config,
    trusted_packages: Sequence[str],
    build_part: BuildPart,
) -> Model:
    parts = configuration.build_parts(config.get("parts"), trusted_packages, build_part)

    def build(node: Config | None, **extra: object) -> object:
        return configuration.instantiate(
            node,
            parts=parts,
            trusted_packages=trusted_packages,
            build_part=build_part,
            **extra,
        )

    language = _of_kind(build(config["language"]), LanguageModel, "language")
    if not config["modalities"] and not language.readers:
        raise ConfigError("a model needs 'modalities', since its language model reads text alone")
    if config.get("lora"):
        language.enable_lora(**config["lora"])
    modalities = {
        name: _modality(name, node, build, language) for name, node in config["modalities"].items()
    }
    widths = {name: m.encoder.width for name, m in modalities.items() if m.encoder is not None}
    language_scale = {"output_width": language.width, "output_scale": language.embedding_scale}
    projection = build(config.get("projection"), widths=widths, **language_scale)
    if projection is not None:
        projection = _of_kind(projection, Projection, "projection")
    fusion = build(config.get("fusion"), widths=widths)
    if fusion is not None:
        fusion = _of_kind(fusion, Fusion, "fusion")
    own_config = copy.deepcopy(dict(config))
    names = ("history_turns", "history_notice", "num_pointers", "media_first")
    settings = {key: config[key] for key in names if key in config}
    model = cls(language, projection, modalities, own_config, fusion=fusion, **settings)
    readers = [fusion.encoder] if fusion is not None and fusion.encoder is not None else []
    makers = (*model.decoders.values(), *model.speakers.values())
    for part in (*model.encoders.values(), *makers, *readers):
        part.requires_grad_(False)  # until a stage says otherwise
    own_config.pop("weights", None)  # a saved model has its own, and must not start from these
    return model


def _modality(
    name: str, node: Config, build: Callable[..., object], language: LanguageModel
) -> Modality:
    place = f"modalities.{name}"
    encoder = decoder = head = None
    if node.get("encoder"):
        encoder = _of_kind(build(node["encoder"]), Encoder, f"{place}.encoder")
    if node.get("decoder"):
        decoder = _of_kind(build(node["decoder"]), Decoder, f"{place}.decoder")
        widths = {"input_width": language.width, "num_signal_tokens": node["num_signal_tokens"]}
        head = _of_kind(build(node.get("head"), spec=decoder.spec, **widths), Head, f"{place}.head")
    speaker = None
    if node.get("speaker"):
        speaker = _of_kind(build(node["speaker"]), Speaker, f"{place}.speaker")
    settings = {key: node[key] for key in SETTING_KEYS if key in node}
    return Modality(encoder=encoder, decoder=decoder, head=head, speaker=speaker, **settings)


def _of_kind(part: object, kind: Callable[..., Part], place: str) -> Part:
    assert isinstance(kind, type)
    if not isinstance(part, kind):
        raise ConfigError(
            f"{place} must be a {kind.__name__}, and what it names gives a {type(part).__name__}"
        )
    return cast(Part, part)


def from_pretrained(
    cls: type[Model],
    path: str | Path,
    lora: LoraSettings | None,
    trusted_packages: Sequence[str] = (),
    *,
    weights: bool = True,
    build_part: BuildPart = configuration.call,
) -> Model:
    """Read a model folder; only AnyModal's own parts and `trusted_packages` are imported for it.

    Args:
        cls: the model's class.
        path: the folder, or the name of a shipped model.
        lora: adds fresh low-rank adapters to a model that has none.
        trusted_packages: packages whose parts the folder may use beside AnyModal's own.
        weights: without them, the model is on the meta device and no weight is read.
        build_part: how each part is built; see `config.instantiate`.

    Raises:
        CheckpointError: if a file is missing or damaged, or weights or parts don't fit.
    """
    folder = find(path)
    _look_over(folder)  # before any library reads a file of it
    config = read_config(folder)
    if weights:
        validate_model(config, trusted_packages)
        model = _with_saved_weights(cls, folder, config, trusted_packages, build_part)
    else:
        model = compose(cls, config, trusted_packages, weights=False, build_part=build_part)
    if lora and model.language.lora is None:
        model.language.enable_lora(**lora)
    model.config = config
    model.training_records = read_stages(folder)
    return model.eval()


def _with_saved_weights(
    cls: type[Model],
    folder: Path,
    config: Config,
    trusted_packages: Sequence[str],
    build_part: BuildPart,
) -> Model:
    manifest = checkpoint.read_manifest(folder)
    tensors = checkpoint.load_weights(folder / WEIGHTS)
    if any(name.startswith("decoders.") for name in config.get("trained", ())):
        build_part = configuration.call  # opened at once, so that these weights find the decoder
    _check_adapters(config, tensors, folder)
    count = sum(value.numel() for value in tensors.values())
    build_bounded = building_at_most(2 * count + _SLACK, str(folder / CONFIG), build_part)
    model = _compose(cls, config, trusted_packages, True, build_bounded)
    # First without weights, which is quick and names a wrong part before tensors are compared.
    checkpoint.compare_parts(manifest, model_metadata(model, False), str(folder))
    checkpoint.compare_shapes(tensors, own_weights(model), str(folder / WEIGHTS))
    # Not strict: parts' own files hold the others. The names here have been compared above.
    model.load_state_dict(tensors, strict=False)
    # Again, with the weights, now that what stages have changed is in its place.
    parts = model_metadata(model)
    checkpoint.compare_parts(manifest, parts, str(folder))
    checkpoint.log_origins(parts)
    return model


def _look_over(folder: Path) -> None:
    try:
        check_folder(folder)
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _check_adapters(config: Config, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Refuse adapters that the weights don't hold before they are built."""
    ranks = {len(value) for name, value in tensors.items() if "lora_A" in name}
    rank = (config.get("lora") or {}).get("r", 16)
    if config.get("lora") and ranks != {rank}:
        raise CheckpointError(
            f"{folder / CONFIG} has adapters of rank r={rank}, and {WEIGHTS} has "
            f"{', '.join(map(str, sorted(ranks))) or 'none'}"
        )
