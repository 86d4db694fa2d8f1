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


class ModelSource:
    """A model that can be loaded, and again after it was unloaded.

    Args:
        name: what clients call it.
        path: of a composed model's folder, or else what encoders are opened by; or a name.
        trusted_packages: packages whose parts a folder may use beside AnyModal's own.
        dtype: the weights' precision; None for that of the files.
        device: where it computes.
        settings: of the engine.
        provenance: whether media carry the note that a model made them.
        signer: signs the note; None for the note alone.

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
        self._trusted, self._dtype, self._settings = trusted_packages, dtype, settings
        self._provenance, self._signer = provenance, signer
        self._is_composed = is_composed(path)
        self._loaded: ServedModel | None = None

    @cached_property
    def facts(self) -> ModelFacts:
        """Facts about the model. Of a composed one no weight is read for them."""
        if self._loaded is not None:
            return self._loaded.facts
        if not self._is_composed:  # encoders tell what they read when they are open
            return ModelFacts(self.name, [], [], {}, replies=False)
        model = AnyModal.from_pretrained(self.path, trusted_packages=self._trusted, weights=False)
        return ModelFacts.of(self.name, model)

    @cached_property
    def num_bytes(self) -> int:
        """Bytes of the weights in its folder."""
        if not self._is_composed:
            return 0
        folder = Path(composition.find(self.path))
        return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))

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
        if not self._is_composed:
            encoders = open_encoders(self.path, texts=True)
            device = self.device
            if device == "auto":
                device = "cuda" if torch.cuda.is_available() else "cpu"
            parts = {kind: part.to(device) for kind, part in encoders.items()}
            return ServedModel(self.name, None, parts, self._settings)
        model = AnyModal.from_pretrained(
            self.path, trusted_packages=self._trusted, dtype=self._dtype, device=self.device
        )
        model.name, model.provenance, model.signer = self.name, self._provenance, self._signer
        return ServedModel(self.name, model, None, self._settings)


def is_composed(path: str) -> bool:
    """Return whether a path is a composed model's folder, or a shipped model's name."""
    try:
        folder = composition.find(path)
    except (OSError, ValueError):
        return False
    return (Path(folder) / MANIFEST).is_file()
