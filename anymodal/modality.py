"""One modality: how it is read, how it is made, and how much room it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anymodal import ranges

if TYPE_CHECKING:
    from anymodal.decoders import Decoder
    from anymodal.encoders import Encoder
    from anymodal.heads import Head
    from anymodal.media import Media

SAMPLING: Mapping[str, Any] = {"steps": 20, "guidance": 4.0}
"""The settings that a modality's media are made by where nothing else is said."""


@dataclass
class Modality:
    """The parts that serve one modality; one with an encoder can be read, one with a decoder made.

    Args:
        encoder: media to features.
        decoder: conditioning to media.
        head: a signal span's hidden states to conditioning; needed with a decoder.
        signals: signals in a span.
        sampling: settings of `Decoder.sample` for chat: steps and guidance; `SAMPLING` has those
            that are left out.

    Raises:
        ValueError: for a decoder without head or signals, a modality with neither part, or
            settings that the decoder doesn't take.
    """

    encoder: Encoder | None = None
    decoder: Decoder | None = None
    head: Head | None = None
    signals: int = 0
    sampling: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.encoder is None and self.decoder is None:
            raise ValueError("a modality needs an encoder, a decoder or both")
        if self.decoder is not None and (self.head is None or self.signals < 1):
            raise ValueError(
                f"a decoder needs a head and at least one signal, not signals={self.signals}"
            )
        given, self.sampling = self.sampling, dict(SAMPLING)
        self.sampling = self.settings(given)

    def settings(self, given: Any, place: str = "sampling") -> dict[str, Any]:
        """Give settings of the decoder, checked: those given over the modality's own.

        Raises:
            ValueError: one is unknown, of the wrong type or out of its range.
        """
        check = ranges.medium if self.decoder is None else self.decoder.check_settings
        given = check(given, place=place)
        return check({**self.sampling, **given}, place=place)

    @property
    def media(self) -> type[Media]:
        """The class of media that this modality reads or makes."""
        part = self.encoder if self.encoder is not None else self.decoder
        assert part is not None
        return part.media
