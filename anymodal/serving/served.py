"""Models that a server has: composed ones, which reply, and encoders alone, which embed."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anymodal import composition
from anymodal.io.checkpoint import MANIFEST
from anymodal.media import Media
from anymodal.model import AnyModal
from anymodal.serving.engine import Engine, EngineSettings
from anymodal.tools.embed.files import TEXT
from anymodal.tools.embed.opening import open_encoders

if TYPE_CHECKING:
    from anymodal.encoders import Encoder, TextEncoder

EMBEDDED_AT_ONCE = 16


class ServedModel:
    """A model under the name that clients call it by.

    Args:
        name: what clients call it.
        model: the composed model; None for encoders alone.
        encoders: by kind of media, and `text`; those of the model where None.
        settings: of the engine.

    Attributes:
        engine: answers requests; None for encoders alone.
        created: when it was loaded, in seconds since 1970.
    """

    def __init__(
        self,
        name: str,
        model: AnyModal | None,
        encoders: Mapping[str, Encoder | TextEncoder] | None = None,
        settings: EngineSettings | None = None,
    ) -> None:
        self.name, self.model = name, model
        self.engine = None if model is None else Engine(model, settings)
        if encoders is None:
            modalities = {} if model is None else model.modalities
            parts = [each.encoder for each in modalities.values()]
            encoders = {part.media.kind: part for part in parts if part is not None}
        self.encoders = encoders
        self.created = int(time.time())
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        name: str,
        path: str,
        *,
        trusted_packages: Sequence[str] = (),
        dtype: str | None = None,
        device: str = "auto",
        settings: EngineSettings | None = None,
    ) -> ServedModel:
        """Load a composed model, or else the encoders that a folder or a hub's name means.

        Raises:
            ValueError: if there is neither.
        """
        if not is_composed(path):
            encoders = open_encoders(path, texts=True)
            target_device = (
                ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
            )
            return cls(
                name, None, {kind: part.to(target_device) for kind, part in encoders.items()}
            )
        model = AnyModal.from_pretrained(
            path, trusted_packages=trusted_packages, dtype=dtype, device=device
        )
        return cls(name, model, None, settings)

    @property
    def reads(self) -> list[str]:
        """Kinds of input, text among them."""
        kinds = [kind for kind in self.encoders if kind != TEXT]
        return [TEXT, *kinds] if self.model is not None or TEXT in self.encoders else kinds

    @property
    def writes(self) -> list[str]:
        """Kinds of output of a reply; none for encoders alone."""
        if self.model is None:
            return []
        return [TEXT, *self.makers]

    @property
    def makers(self) -> dict[str, str]:
        """The modality that makes each kind of media."""
        modalities = {} if self.model is None else self.model.modalities
        return {each.media.kind: name for name, each in modalities.items() if each.decoder}

    @property
    def history_turns(self) -> int | None:
        """Earlier turns that the model is shown; None for all."""
        return None if self.model is None else self.model.history_turns

    def kind_of(self, modality: str) -> str:
        """The kind of media of a modality of the model."""
        assert self.model is not None
        return self.model.modalities[modality].media.kind

    @torch.inference_mode()
    def embed(self, items: Sequence[str | Media]) -> list[Tensor]:
        """One embedding (E,) an item, on the CPU.

        Raises:
            ValueError: if no encoder reads an item.
        """
        kinds = [TEXT if isinstance(item, str) else item.kind for item in items]
        for kind in kinds:
            if kind not in self.encoders:
                names = ", ".join(self.encoders) or "nothing"
                raise ValueError(f"the model {self.name!r} embeds {names}, and no {kind}")
        rows: dict[int, Tensor] = {}
        with self._lock:
            for kind in dict.fromkeys(kinds):
                places = [place for place, each in enumerate(kinds) if each == kind]
                for start in range(0, len(places), EMBEDDED_AT_ONCE):
                    some = places[start : start + EMBEDDED_AT_ONCE]
                    rows |= zip(
                        some, self._embed_batch(kind, [items[p] for p in some]), strict=True
                    )
        return [rows[place] for place in range(len(items))]

    def _embed_batch(self, kind: str, items: Sequence[str | Media]) -> Tensor:
        encoder = self.encoders[kind]
        prepared = torch.stack([encoder.prepare(item) for item in items])  # type: ignore[arg-type]
        return encoder.embed(encoder.to_weights(prepared)).float().cpu()  # NumPy has no bfloat16

    def close(self) -> None:
        """End what is under way."""
        if self.engine is not None:
            self.engine.close()


def is_composed(path: str) -> bool:
    """Return whether a path is a composed model's folder, or a shipped model's name."""
    try:
        folder = composition.find(path)
    except (OSError, ValueError):
        return False
    return (Path(folder) / MANIFEST).is_file()
