"""Sources of a server's models, and facts about them before they are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from anymodal import composition
from anymodal.io.content_credentials import ContentSigner
from anymodal.model import AnyModal
from anymodal.serving.engine import EngineSettings
from anymodal.serving.served import ModelFacts, ServedModel, is_composed


class ModelSource:
    """A model that can be loaded, and again after it was unloaded.

    Args:
        name: what clients call it.
        path: see `ServedModel.open`, as the other arguments.

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
        """Load it anew."""
        return ServedModel.open(
            self.name,
            self.path,
            trusted_packages=self._trusted,
            dtype=self._dtype,
            device=self.device,
            settings=self._settings,
            provenance=self._provenance,
            signer=self._signer,
        )
