"""Adapters that a checkpoint has in folders of its own beside its model, merged as it is opened."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import NamedTuple

from transformers import PreTrainedModel
from transformers.utils import cached_file

from anymodal.io.sources import explain_load_errors
from anymodal.language.families.base import MultimodalFamily
from anymodal.language.lora import merge_lora

_CONFIG = "adapter_config.json"
_NAME = "published"
"""Of the adapter in the model. Transformers takes weights whose names contain it for the adapter's,
so it must not be the adapter's own: `speech` is in names of Phi-4-multimodal's projections."""
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


class PublishedAdapter(NamedTuple):
    """An adapter of a checkpoint, in PEFT's files.

    Args:
        path_or_name: the checkpoint's folder, or a hub's repository.
        revision: the hub revision.
        name: by which it is asked for.
        folder: inside of the checkpoint.
    """

    path_or_name: str
    revision: str | None
    name: str
    folder: str

    def merge(self, model: PreTrainedModel) -> None:
        """Add it to the weights that it adapts, and leave a plain model.

        Raises:
            ValueError: if its weights aren't those that the model wants of it.
        """
        names = getattr(model, "_weight_conversions", None)
        with self._explained():
            report = model.load_adapter(
                self.path_or_name,
                adapter_name=_NAME,
                adapter_kwargs={"subfolder": self.folder, "revision": self.revision},
            )
        for keys, what in (report.missing_keys, "lacks"), (report.unexpected_keys, "has besides"):
            if keys:
                raise ValueError(
                    f"the adapter {self.name!r} of {self.path_or_name!r} {what} {len(keys)} "
                    f"weights, as {min(keys)}: it is of another model; fetch both anew, or leave "
                    "`adapter` out"
                )
        merge_lora(model)
        # By which transformers would give weights the adapter's names as they are saved.
        model._weight_conversions = names

    def check(self) -> None:
        """Check that it is there, and one that can be merged; no weight is read.

        Raises:
            FileNotFoundError: if it isn't there.
            ValueError: if it is no LoRA, or more than one.
        """
        with self._explained():
            file = cached_file(
                self.path_or_name,
                f"{self.folder}/{_CONFIG}",
                revision=self.revision,
                _raise_exceptions_for_missing_entries=False,
            )
        if file is None:
            raise FileNotFoundError(
                f"{self.path_or_name!r} has no adapter {self.name!r}: there is no "
                f"{self.folder}/{_CONFIG}. Copy that folder there, or leave `adapter` out; what "
                "was saved with the adapter has it in its weights"
            )
        settings = json.loads(Path(file).read_text("utf-8"))
        if settings.get("peft_type") != "LORA" or settings.get("modules_to_save"):
            raise ValueError(
                f"the adapter {self.name!r} of {self.path_or_name!r} is {settings.get('peft_type')}"
                f" with whole modules {settings.get('modules_to_save')}, and only a LoRA without "
                "any is merged here; merge it by PEFT and save the model, or leave `adapter` out"
            )

    def _explained(self) -> contextlib.AbstractContextManager[None]:
        files = [[f"{self.folder}/{_CONFIG}"], [f"{self.folder}/{name}" for name in _WEIGHTS]]
        return explain_load_errors("adapter", self.path_or_name, self.revision, files)


def published_adapter(
    name: str, path_or_name: str, revision: str | None, kind: str, family: MultimodalFamily | None
) -> PublishedAdapter:
    """An adapter of a checkpoint by its name, which is there and can be merged.

    Args:
        name: one of the family's.
        path_or_name: the checkpoint's folder, or a hub's repository.
        revision: the hub revision.
        kind: of the model, as its configuration says it.
        family: of the model, None for one of text alone.

    Raises:
        FileNotFoundError: if the checkpoint doesn't have it.
        ValueError: if the family has none of that name, or it can't be merged.
    """
    known = {} if family is None else family.adapters
    if name not in known:
        way = f"choose {' or '.join(known)}, or leave it out" if known else "leave it out"
        raise ValueError(
            f"adapter={name!r} is unknown: {path_or_name!r} is a {kind!r}, whose checkpoints have "
            f"{'others' if known else 'none of their own'}; {way}"
        )
    adapter = PublishedAdapter(path_or_name, revision, name, known[name])
    adapter.check()
    return adapter
