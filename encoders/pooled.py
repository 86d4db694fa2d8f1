"""An encoder's embedding as its only token."""

from __future__ import annotations

import torch
from torch import Tensor

from anymodal.encoders.base import Encoder
from anymodal.media import Media
from anymodal.types import Features


class PooledEncoder(Encoder):
    """Gives another encoder's embedding (B, E) as features of one token (B, 1, E).

    Args:
        encoder: the other one.
        width: E.
    """

    def __init__(self, encoder: Encoder, width: int) -> None:
        super().__init__()
        self.encoder, self.width = encoder, width
        self.media = encoder.media

    @property
    def seconds_read(self) -> float | None:
        """The other encoder's."""
        return self.encoder.seconds_read

    def prepare(self, media: Media) -> Tensor:
        """The other encoder's tensor of one medium."""
        return self.encoder.prepare(media)

    def to_weights(self, batch: Tensor) -> Tensor:
        """A batch as the other encoder puts it."""
        return self.encoder.to_weights(batch)

    def forward(self, batch: Tensor) -> Features:
        """The embedding, as one token.

        Raises:
            ValueError: if it isn't `width` wide.
        """
        embeds = self.encoder.embed(batch)
        if embeds.shape[-1] != self.width:
            raise ValueError(
                f"width={self.width}, but the encoder embeds in {embeds.shape[-1]}; give that"
            )
        mask = torch.ones(len(embeds), 1, dtype=torch.bool, device=embeds.device)
        return Features(embeds[:, None], mask)

    def embed(self, batch: Tensor) -> Tensor:
        """The embedding."""
        return self.encoder.embed(batch)

    def features_and_embedding(self, batch: Tensor) -> tuple[Features, Tensor]:
        """The embedding as one token, and as it is."""
        features: Features = self(batch)
        return features, features.values[:, 0]

    def metadata(self) -> dict[str, object]:
        """The other encoder's metadata, with its class and this one's."""
        other = self.encoder.metadata()
        return {**other, **super().metadata(), "encoder": other["class"]}
