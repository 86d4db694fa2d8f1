"""Model folders: the weights that no part's own files hold, what each part is, and the parts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from torch import Tensor, nn

from anymodal import config as configuration
from anymodal.composition.describe import Description, Node, has_files, nodes, opening_node
from anymodal.config import ConfigError
from anymodal.config.yaml_files import dump_yaml
from anymodal.decoders.deferred import DeferredDecoder, interface
from anymodal.io import checkpoint
from anymodal.io.checkpoint import CONFIG, WEIGHTS
from anymodal.io.fingerprints import weights_fingerprint
from anymodal.io.recorded import OPENS, drop_published, is_cast, is_changed, is_opened
from anymodal.io.sources import REPOSITORY, write_card
from anymodal.io.training_records import write_stages
from anymodal.language.token_names import check_name

if TYPE_CHECKING:
    from anymodal.core import ComposedModel


class WithFiles(Protocol):
    """A part that writes files of its own."""

    def save_pretrained(self, folder: Path, /) -> object:
        """Write them."""


_OWN = ("projection.", "heads.", "language.rows", "language.output_rows")


def own_weights(model: ComposedModel) -> dict[str, Tensor]:
    """The weights that no part's own files hold: projection, heads, new rows, adapters, parts that
    were built and not opened from files, and the parts that have changed since.
    """
    file_parts = [part for part in model.modules() if is_opened(part)]
    return _model_weights(model, file_parts, (model.config or {}).get("trained", ()), [])


def _model_weights(
    model: ComposedModel,
    file_parts: Iterable[object],
    trained_names: Iterable[str],
    saved_parts: Iterable[object],
) -> dict[str, Tensor]:
    """Tensors that are in no file of a part, since it has none, or since they have changed."""
    saved_ids = {id(tensor) for part in saved_parts for tensor in _tensors(part)}
    file_ids = saved_ids | {id(tensor) for part in file_parts for tensor in _tensors(part)}
    prefixes = tuple(f"{name}." for name in trained_names)
    return {
        name: tensor
        for name, tensor in _state(model).items()
        if name.startswith(_OWN)
        or "lora_" in name
        or id(tensor) not in file_ids
        or (name.startswith(prefixes) and id(tensor) not in saved_ids)
    }


def _tensors(part: object) -> Iterable[Tensor]:
    return _state(part).values() if isinstance(part, nn.Module) else ()


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and what else a state dict has, each under its first name."""
    tensors: dict[str, Tensor] = dict(module.named_parameters())
    for prefix, part in module.named_modules():
        for name, buffer in part.named_buffers(recurse=False):
            if name not in part._non_persistent_buffers_set:
                tensors[f"{prefix}.{name}".lstrip(".")] = buffer
    return tensors


def _changed_parts(model: ComposedModel) -> set[str]:
    """Parts whose own files don't hold their weights, since a stage or adapters changed them."""
    state = own_weights(model)
    names = [n for n, p in model.named_parameters() if p.requires_grad and n not in state]
    parts = [part for part in model.modules() if is_opened(part) and is_changed(part)]
    tensors = {id(tensor) for part in parts for tensor in part.parameters()}
    names += [n for n, p in model.named_parameters() if id(p) in tensors and n not in state]
    return {".".join(name.split(".")[:2]) for name in names}


def model_metadata(model: ComposedModel, weights: bool = True) -> dict[str, Any]:
    """Metadata of each part for the manifest, with a hash of the weights that it has in memory."""
    metadata: dict[str, Any] = {"language": model.language.metadata()}
    for name, modality in model.modalities.items():
        if modality.encoder is not None:
            metadata[f"encoder.{name}"] = modality.encoder.metadata()
        if modality.decoder is not None:
            metadata[f"decoder.{name}"] = modality.decoder.metadata()
        if modality.speaker is not None:
            metadata[f"speaker.{name}"] = modality.speaker.metadata()
    if model.projection is not None and (entry := model.projection.metadata()):
        metadata["projection"] = entry
    if model.fusion is not None and (entry := model.fusion.metadata()):
        metadata["fusion"] = entry
    for name, part in _named_parts(model):
        here = [not weight.is_meta for weight in part.parameters()]
        if weights and here and all(here):
            metadata[name] = {**metadata[name], "weights": weights_fingerprint(part)}
    return metadata


def _named_parts(model: ComposedModel) -> Iterator[tuple[str, nn.Module]]:
    yield "language", model.language
    yield from ((f"encoder.{name}", part) for name, part in model.encoders.items())
    yield from ((f"decoder.{name}", part) for name, part in model.decoders.items())
    yield from ((f"speaker.{name}", part) for name, part in model.speakers.items())


def save_pretrained(model: ComposedModel, folder: Path, with_parts: bool) -> None:
    """Write a model folder; an existing one is replaced as a whole, or stays as it is.

    What a part's own files hold stays there, unless all parts are to be written. Everything else is
    saved: in the model's weights, or as a part's own files beside them.

    Raises:
        ValueError: for a part of which nobody knows how it was built.
    """
    description = Description(model)
    trained_names = sorted({*description.config.pop("trained", ()), *_changed_parts(model)})
    if model.config is not None:
        model.config = {**model.config, "trained": trained_names}
    file_parts = [part for part in model.modules() if is_opened(part)]
    manifest = model_metadata(model)
    for name, modality in model.modalities.items():
        decoder = modality.decoder
        if decoder is not None and decoder.can_wait:  # so that it can be opened on first use
            manifest[f"decoder.{name}"]["interface"] = interface(decoder)
    with checkpoint.replacing_folder(folder) as temporary:
        lies = partial(_lies_in, folder=folder.resolve())  # the old folder goes, with what is in it
        saved_parts = _save_parts(model, description, temporary, lambda n: with_parts or lies(n))
        weights = _model_weights(model, file_parts, trained_names, saved_parts)
        if trained_names := [
            each for each in trained_names if any(n.startswith(f"{each}.") for n in weights)
        ]:
            description.config["trained"] = trained_names
        ids = {id(part) for part in saved_parts}
        for name, part in _named_parts(model):  # in another precision than its files have
            if any(is_cast(m) for m in part.modules() if is_opened(m) and id(m) not in ids):
                manifest[name].pop("weights", None)
        write_stages(temporary, model.training_records)
        _pin(model, description.config)
        (temporary / CONFIG).write_text(dump_yaml(description.config), "utf-8")
        checkpoint.save_weights(weights, temporary / WEIGHTS)
        checkpoint.write_manifest(temporary, manifest)


def _pin(model: ComposedModel, config: Node) -> None:
    """Let parts that come from the hub be opened at the revision that they have now."""
    for _, node, part in list(nodes(model, config)):
        revision = (getattr(part, "source", None) or {}).get("revision")
        opens = getattr(type(part), OPENS, None)
        if not revision or opens is None or not node.get("_target_", "").endswith(f".{OPENS}"):
            continue
        parameters = inspect.signature(opens).parameters
        name = str(node.get(next(iter(parameters)), ""))
        if "revision" in parameters and REPOSITORY.fullmatch(name):
            node["revision"] = revision


def _save_parts(
    model: ComposedModel, description: Description, folder: Path, selects: Callable[[Node], bool]
) -> list[object]:
    """Write parts beside the configuration, point it at them, and say which: those whose nodes are
    asked for, and those that can't be saved otherwise.
    """
    config, saved_parts = description.config, {}
    unsaved_ids = {id(part) for part in description.unsaved.values()}
    labels = set()
    for label, node, part in list(nodes(model, config)):
        if id(part) in saved_parts or not (selects(node) or id(part) in unsaved_ids):
            continue
        real = part.open_decoder() if isinstance(part, DeferredDecoder) else part
        if not has_files(type(real)):
            if node["_target_"].endswith(f".{OPENS}"):
                labels.add(label)
            continue  # its weights are saved beside, and it is built anew
        saved_parts[id(part)] = part
        _save_part(cast(WithFiles, real), node, folder, label)
    if labels:
        raise ConfigError(
            f"with_parts=True saves parts that a `from_pretrained` builds, which "
            f"{', '.join(sorted(labels))} is not; give its class a save_pretrained, or save it "
            "yourself and point the configuration at its folder"
        )
    return list(saved_parts.values())


def _lies_in(node: Node, folder: Path) -> bool:
    """Return whether a node names something that is inside of a folder."""
    paths = [Path(value) for value in node.values() if isinstance(value, str) and len(value) < 4096]
    return any(folder in path.parents for path in paths if path.is_absolute())


def _save_part(part: WithFiles, node: Node, folder: Path, label: str) -> None:
    """Write a part's files, with its licence, and let its node open them."""
    check_name(label, "a part's folder")
    part.save_pretrained(folder / label)
    write_card(folder / label, getattr(part, "source", None) or {})
    if not node["_target_"].endswith(f".{OPENS}"):
        settings = opening_node(part, label)
        node.clear()
        node.update(settings)
    drop_published(part, node)
    node[next(iter(inspect.signature(getattr(type(part), OPENS)).parameters))] = (
        f"{configuration.HERE}/{label}"
    )
