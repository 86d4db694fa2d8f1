"""Encoders by the kind of files they take, from a folder or a name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from anymodal import composition
from anymodal import config as configuration
from anymodal.encoders.imagebind.encoder import CONFIG_FILE, ImageBind, views
from anymodal.encoders.imagebind.text import ImageBindText
from anymodal.encoders.transformers.encoder import TransformersEncoder
from anymodal.encoders.transformers.text import TEXT_TOWERS, TransformersText
from anymodal.encoders.universal.encoder import UniversalEncoder, UniversalTrunk
from anymodal.io import checkpoint, sources
from anymodal.io.checkpoint import CONFIG, WEIGHTS, CheckpointError
from anymodal.tools.embed.files import TEXT

if TYPE_CHECKING:
    from anymodal.encoders import Encoder, TextEncoder


Encoders = Mapping[str, "Encoder | TextEncoder"]


def open_encoders(
    name: str, *, texts: bool = False, revision: str | None = None, tower: str | None = None
) -> dict[str, Encoder | TextEncoder]:
    """The encoders of an ImageBind's or a universal encoder's folder, of a model of transformers,
    or of a model of AnyModal.

    Args:
        name: a folder, the name of a shipped model, that of a hub's repository (`owner/name`), or
            a model's configuration, a YAML file.
        texts: open what reads texts, too, where the model has it and its tokenizer is there.
        revision: of the hub's repository.
        tower: of a model of transformers that has several.

    Raises:
        ValueError: if there is none of them, the model reads nothing, or takes no such option.
        OSError: if the hub has no such repository.
    """
    config = _json(Path(name) / CONFIG_FILE)
    of_hub = sources.REPOSITORY.fullmatch(name) is not None and not Path(name).exists()
    if "model_type" not in config and not of_hub and (revision or tower):
        option = f"revision={revision!r}" if revision else f"tower={tower!r}"
        raise ValueError(f"{option}: {name!r} is no model of transformers; leave it out")
    encoders: list[Encoder]
    reader: TextEncoder | None = None
    if "trunks" in config:
        model = ImageBind.from_pretrained(name)
        encoders = list(views(model))
        reader = ImageBindText.beside(model, name) if texts else None
    elif "trunk" in config:
        trunk = UniversalTrunk.from_pretrained(name)
        encoders = [UniversalEncoder(trunk, modality) for modality in trunk.modalities]
    elif "model_type" in config or of_hub:
        encoder = TransformersEncoder.from_pretrained(name, revision=revision, tower=tower)
        encoders = [encoder]
        if texts and encoder.model.config.model_type in TEXT_TOWERS:
            with contextlib.suppress(FileNotFoundError):  # media can be embedded without it
                reader = TransformersText.from_pretrained(name, revision=revision)
    else:
        encoders = list(_of_model(name))
    if not encoders:
        raise ValueError(f"the model {name!r} reads no media; name one with encoders")
    encoders_by_kind: dict[str, Encoder | TextEncoder] = {e.media.kind: e.eval() for e in encoders}
    return encoders_by_kind if reader is None else {**encoders_by_kind, TEXT: reader.eval()}


def _json(path: Path) -> Mapping[str, Any]:
    """The mapping of a JSON file; empty where there is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _of_model(name: str) -> Iterator[Encoder]:
    """A composed model's encoders, with the parts that they need and no others."""
    file, folder = Path(name), None
    if file.suffix in (".yaml", ".yml") and file.is_file():  # one that nobody has trained yet
        config = configuration.load_config(file)
    else:
        folder = composition.find(name)
        config = composition.read_config(folder)
    composition.validate_model(config)
    nodes = {
        modality: node["encoder"]
        for modality, node in config["modalities"].items()
        if node.get("encoder")
    }
    parts = configuration.build_parts(_parts_under(nodes, config.get("parts") or {}))
    encoders = nn.ModuleDict(
        {modality: configuration.instantiate(node, parts=parts) for modality, node in nodes.items()}
    )
    # A stage may have trained encoders, whose own files hold their first weights.
    tensors = {} if folder is None else checkpoint.load_weights(folder / WEIGHTS)
    state = {
        key.removeprefix("encoders."): value.float()
        for key, value in tensors.items()
        if key.startswith("encoders.")
    }
    if unknown := encoders.load_state_dict(state, strict=False).unexpected_keys:
        raise CheckpointError(f"{name} has {unknown[0]!r}, and no encoder of its {CONFIG}")
    yield from encoders.values()  # type: ignore[misc]  # what the configuration calls encoders


def _parts_under(node: object, parts: Mapping[str, Any]) -> dict[str, Any]:
    """The shared parts that a node of a configuration refers to, itself or through others."""
    names = set(_references(node))
    for name in reversed(list(parts)):  # a part refers to those before it
        if name in names:
            names |= set(_references(parts[name]))
    return {name: part for name, part in parts.items() if name in names}


def _references(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_part_" in node:
            yield node["_part_"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
