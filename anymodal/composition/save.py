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
from anymodal.io.recorded import OPENS, is_cast, is_changed, is_opened
from anymodal.io.sources import write_card
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
    opened = [part for part in model.modules() if is_opened(part)]
    return _beside(model, opened, (model.config or {}).get("trained", ()), [])


def _beside(
    model: ComposedModel,
    opened: Iterable[object],
    changed: Iterable[str],
    written: Iterable[object],
) -> dict[str, Tensor]:
    """Tensors that are in no file of a part, since it has none, or since they have changed."""
    now = {id(tensor) for part in written for tensor in _tensors(part)}
    held = now | {id(tensor) for part in opened for tensor in _tensors(part)}
    moved = tuple(f"{name}." for name in changed)
    return {
        name: tensor
        for name, tensor in _state(model).items()
        if name.startswith(_OWN)
        or "lora_" in name
        or id(tensor) not in held
        or (name.startswith(moved) and id(tensor) not in now)
    }


def _tensors(part: object) -> Iterable[Tensor]:
    return _state(part).values() if isinstance(part, nn.Module) else ()


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and what else a state dict has, each under its first name."""
    found: dict[str, Tensor] = dict(module.named_parameters())
    for prefix, part in module.named_modules():
        for name, buffer in part.named_buffers(recurse=False):
            if name not in part._non_persistent_buffers_set:
                found[f"{prefix}.{name}".lstrip(".")] = buffer
    return found


def _changed(model: ComposedModel) -> set[str]:
    """Parts whose own files don't hold their weights, since a stage or adapters changed them."""
    own = own_weights(model)
    names = [n for n, p in model.named_parameters() if p.requires_grad and n not in own]
    moved = [part for part in model.modules() if is_opened(part) and is_changed(part)]
    tensors = {id(tensor) for part in moved for tensor in part.parameters()}
    names += [n for n, p in model.named_parameters() if id(p) in tensors and n not in own]
    return {".".join(name.split(".")[:2]) for name in names}


def model_metadata(model: ComposedModel, weights: bool = True) -> dict[str, Any]:
    """What each part is, for the manifest, with a hash of the weights that it has in memory."""
    found: dict[str, Any] = {"language": model.language.metadata()}
    for name, modality in model.modalities.items():
        if modality.encoder is not None:
            found[f"encoder.{name}"] = modality.encoder.metadata()
        if modality.decoder is not None:
            found[f"decoder.{name}"] = modality.decoder.metadata()
    if model.projection is not None and (told := model.projection.metadata()):
        found["projection"] = told
    for name, part in _held(model):
        here = [not weight.is_meta for weight in part.parameters()]
        if weights and here and all(here):
            found[name] = {**found[name], "weights": weights_fingerprint(part)}
    return found


def _held(model: ComposedModel) -> Iterator[tuple[str, nn.Module]]:
    yield "language", model.language
    yield from ((f"encoder.{name}", part) for name, part in model.encoders.items())
    yield from ((f"decoder.{name}", part) for name, part in model.decoders.items())


def save_pretrained(model: ComposedModel, folder: Path, with_parts: bool) -> None:
    """Write a model folder; an existing one is replaced as a whole, or stays as it is.

    What a part's own files hold stays there, unless all parts are to be written. Everything else is
    saved: in the model's weights, or as a part's own files beside them.

    Raises:
        ValueError: for a part of which nobody knows how it was built.
    """
    description = Description(model)
    trained = sorted({*description.config.pop("trained", ()), *_changed(model)})
    if model.config is not None:
        model.config = {**model.config, "trained": trained}
    opened = [part for part in model.modules() if is_opened(part)]
    manifest = model_metadata(model)
    for name, modality in model.modalities.items():
        if modality.decoder is not None:  # so that it can be opened on first use
            manifest[f"decoder.{name}"]["interface"] = interface(modality.decoder)
    with checkpoint.replacing_folder(folder) as temporary:
        lies = partial(_lies_in, folder=folder.resolve())  # the old folder goes, with what is in it
        written = _save_parts(model, description, temporary, lambda n: with_parts or lies(n))
        weights = _beside(model, opened, trained, written)
        if trained := [each for each in trained if any(n.startswith(f"{each}.") for n in weights)]:
            description.config["trained"] = trained
        ids = {id(part) for part in written}
        for name, part in _held(model):  # in another precision than its files have
            if any(is_cast(m) for m in part.modules() if is_opened(m) and id(m) not in ids):
                manifest[name].pop("weights", None)
        (temporary / CONFIG).write_text(dump_yaml(description.config), "utf-8")
        checkpoint.save_weights(weights, temporary / WEIGHTS)
        checkpoint.write_manifest(temporary, manifest)


def _save_parts(
    model: ComposedModel, description: Description, folder: Path, asked: Callable[[Node], bool]
) -> list[object]:
    """Write parts beside the configuration, point it at them, and say which: those whose nodes are
    asked for, and those that can't be saved otherwise.
    """
    config, written = description.config, {}
    wanted = {id(part) for part in description.unsaved.values()}
    lost = set()
    for label, node, part in list(nodes(model, config)):
        if id(part) in written or not (asked(node) or id(part) in wanted):
            continue
        real = part.open_decoder() if isinstance(part, DeferredDecoder) else part
        if not has_files(type(real)):
            if node["_target_"].endswith(f".{OPENS}"):
                lost.add(label)
            continue  # its weights are saved beside, and it is built anew
        written[id(part)] = part
        _save_part(cast(WithFiles, real), node, folder, label)
    if lost:
        raise ConfigError(
            f"with_parts=True saves parts that a `from_pretrained` builds, which "
            f"{', '.join(sorted(lost))} is not; give its class a save_pretrained, or save it "
            "yourself and point the configuration at its folder"
        )
    return list(written.values())


def _lies_in(node: Node, folder: Path) -> bool:
    """Whether a node names something that is inside of a folder."""
    named = [Path(value) for value in node.values() if isinstance(value, str) and len(value) < 4096]
    return any(folder in path.parents for path in named if path.is_absolute())


def _save_part(part: WithFiles, node: Node, folder: Path, label: str) -> None:
    """Write a part's files, with its licence, and let its node open them."""
    check_name(label, "a part's folder")
    part.save_pretrained(folder / label)
    write_card(folder / label, getattr(part, "source", None) or {})
    if not node["_target_"].endswith(f".{OPENS}"):
        settings = opening_node(part, label)
        node.clear()
        node.update(settings)
    node.pop("revision", None)
    node[next(iter(inspect.signature(getattr(type(part), OPENS)).parameters))] = (
        f"{configuration.HERE}/{label}"
    )
