"""Sources of a server's models, and facts about them before they are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from anymodal import composition
from anymodal.io.checkpoint import MANIFEST
from anymodal.io.content_credentials import ContentSigner
from anymodal.model import AnyModal
from anymodal.serving.engine import EngineSettings
from anymodal.serving.served import ModelFacts, ServedModel
from anymodal.tools.embed.opening import open_encoders
from anymodal.training.run_folder import open_any_model


class ModelSource:
    """A model that can be loaded, and again after it was unloaded.

    Args:
        name: what clients call it.
        path: of a composed model's folder, a run's folder or a checkpoint in it, or else what
            encoders are opened by; or a name.
        trusted_packages: packages whose parts a folder may use beside AnyModal's own.
        dtype: the weights' precision; None for that of the files.
        device: where it computes.
        settings: of the engine.
        provenance: whether media carry the note that a model made them.
        signer: signs the note; None for the note alone.

    Attributes:
        is_run: whether it is a run's folder or checkpoint.
        folder: of a composed model; None for anything else.

    Raises:
        ValueError: if there is no model there.
    """

    def __init__(
        self,
        name: str,
        path: str,
        *,
        trusted_packages: Sequence[str] = (),
        dtype: str | None = None,
        device: str = "auto",
        settings: EngineSettings | None = None,
        provenance: bool = True,
        signer: ContentSigner | None = None,
    ) -> None:
        self.name, self.path, self.device = name, path, device
        self.trusted_packages, self.dtype, self.settings = trusted_packages, dtype, settings
        self.provenance, self.signer = provenance, signer
        self.is_run = composition.is_run(path)
        self.folder = None if self.is_run else _composed_folder(path)
        self._loaded: ServedModel | None = None

    @cached_property
    def facts(self) -> ModelFacts:
        """Facts about the model. Of a composed one no weight is read for them."""
        if self._loaded is not None:
            return self._loaded.facts
        if self.is_run:  # its parts are told by opening them
            self._loaded = self.open()
            return self._loaded.facts
        if self.folder is None:  # encoders tell what they read when they are open
            return ModelFacts(self.name, [], [], {}, replies=False)
        model = AnyModal.from_pretrained(
            self.folder, trusted_packages=self.trusted_packages, weights=False
        )
        return ModelFacts.of(self.name, model)

    @cached_property
    def num_bytes(self) -> int:
        """Bytes of the weights in its folder; 0 where they are known once it is open."""
        if self.folder is None:
            return 0
        return sum(file.stat().st_size for file in self.folder.rglob("*.safetensors"))

    def load(self) -> None:
        """Load it before anybody asks, for who takes it first."""
        self._loaded = self.open()

    def take(self) -> ServedModel | None:
        """The model that `load` has loaded, if it did; it is given once."""
        self.facts  # noqa: B018  # known from now on
        loaded, self._loaded = self._loaded, None
        return loaded

    def open(self) -> ServedModel:
        """Load it anew: the composed model, or else the encoders of a folder or a hub's name.

        Raises:
            ValueError: if there is neither.
        """
        if self.folder is None and not self.is_run:
            encoders = open_encoders(self.path, texts=True)
            device = self.device
            if device == "auto":
                device = "cuda" if torch.cuda.is_available() else "cpu"
            parts = {kind: part.to(device) for kind, part in encoders.items()}
            return ServedModel(self.name, None, parts, self.settings)
        model = open_any_model(
            self.folder or self.path, self.trusted_packages, dtype=self.dtype, device=self.device
        )
        model.name, model.provenance, model.signer = self.name, self.provenance, self.signer
        return ServedModel(self.name, model, None, self.settings)


def _composed_folder(path: str) -> Path | None:
    """The folder of a composed model, by its path or name; None for anything else."""
    try:
        folder = composition.find(path)
    except (OSError, ValueError):
        return None
    return folder if (folder / MANIFEST).is_file() else None
