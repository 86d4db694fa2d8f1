"""One modality: how it is read, how it is made, and how much room it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymodal.decoders import Decoder
    from anymodal.encoders import Encoder
    from anymodal.heads import Head
    from anymodal.media import Media


@dataclass
class Modality:
    """The parts that serve one modality; one with an encoder can be read, one with a decoder made.

    Args:
        encoder: media to features.
        decoder: conditioning to media.
        head: a signal span's hidden states to conditioning; needed with a decoder.
        signals: signals in a span.
        sampling: settings of `Decoder.sample` for chat: steps and guidance.

    Raises:
        ValueError: for a decoder without head or signals, or a modality with neither part.
    """

    encoder: Encoder | None = None
    decoder: Decoder | None = None
    head: Head | None = None
    signals: int = 0
    sampling: dict[str, Any] = field(default_factory=lambda: {"steps": 20, "guidance": 4.0})

    def __post_init__(self) -> None:
        if self.encoder is None and self.decoder is None:
            raise ValueError("a modality needs an encoder, a decoder or both")
        if self.decoder is not None and (self.head is None or self.signals < 1):
            raise ValueError(
                f"a decoder needs a head and at least one signal, not signals={self.signals}"
            )

    @property
    def media(self) -> type[Media]:
        """The class of media that this modality reads or makes."""
        part = self.encoder if self.encoder is not None else self.decoder
        assert part is not None
        return part.media
