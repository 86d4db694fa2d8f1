"""Decoders of a saved model that wait on disk until something is first made by them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

from anymodal.composition.folders import find, read_config
from anymodal.composition.placement import widen_for
from anymodal.decoders import Decoder
from anymodal.decoders.deferred import DecoderNote, DeferredDecoder, open_quietly
from anymodal.io.checkpoint import compare_parts, read_manifest
from anymodal.io.fingerprints import weights_fingerprint


class _SavedDecoder(NamedTuple):
    """A decoder of a model's folder: what opens it, and what the manifest says of it."""

    arguments: dict[str, Any]
    name: str
    entry: Mapping[str, Any]


class OpenOnFirstUse:
    """Builds the parts of one saved model, for `config.instantiate`; its decoders are opened later.

    What a model asks of a decoder before it makes anything stands in the model's manifest. A
    decoder is opened at once where that is missing, or where its files aren't all here, so that
    what is amiss is told before a conversation begins. Whether the files are those that the
    manifest was written for is checked when they are opened.

    Args:
        path: the model's folder, or the name of one that ships with the package.
        device: where decoders will compute, by which a precision is chosen; None for the files'.
    """

    def __init__(self, path: str | Path, device: torch.device | None = None) -> None:
        self.path, self.device = path, device

    def __call__(self, target: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        owner = getattr(target, "__self__", None)
        if not (inspect.isclass(owner) and issubclass(owner, Decoder)):
            return target(**arguments)
        record = next((each for each in self._decoders if each.arguments == arguments), None)
        source = owner.source_on_disk(**arguments)
        if record is None or source is None:
            return target(**arguments)
        try:
            note = DecoderNote.of(
                record.entry["interface"], metadata={**record.entry, "source": source}
            )
        except (KeyError, TypeError):  # an older manifest, or media of a package of one's own
            return target(**arguments)

        def load() -> Decoder:
            decoder = open_quietly(target, arguments)
            metadata = {**decoder.metadata(), "weights": weights_fingerprint(decoder)}
            folder = str(find(self.path))
            compare_parts({record.name: record.entry}, {record.name: metadata}, folder)
            if self.device is not None:
                widen_for(self.device, decoder)
            return decoder

        return DeferredDecoder(note, load)

    @cached_property
    def _decoders(self) -> list[_SavedDecoder]:
        """Read when the first part is built, and the folder has been looked over."""
        folder = find(self.path)
        return list(_saved_decoders(read_config(folder), read_manifest(folder)))


def _saved_decoders(
    config: Mapping[str, Any], manifest: Mapping[str, Mapping[str, Any]]
) -> Iterator[_SavedDecoder]:
    for modality, settings in config["modalities"].items():
        name, node = f"decoder.{modality}", settings.get("decoder") or {}
        node = config.get("parts", {}).get(node.get("_part_"), node)
        arguments = {key: value for key, value in node.items() if key != "_target_"}
        if name in manifest:
            yield _SavedDecoder(arguments, name, manifest[name])
