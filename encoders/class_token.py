"""An encoder's first token as its embedding."""

from __future__ import annotations

from torch import Tensor

from anymodal.encoders.base import Encoder
from anymodal.media import Media
from anymodal.types import Features, TokenLayout


class ClassTokenEncoder(Encoder):
    """Another encoder whose embedding is its first token (B, D), in the place of its own.

    Of CLIP's with `tokens: class` that is the `pooler_output`, which GILL compares pictures by
    (Koh et al. 2023, arXiv:2305.17216, section 3.2); its own would be the joint embedding.

    Args:
        encoder: the other one, whose first token sums a medium up.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder, self.width = encoder, encoder.width
        self.media = encoder.media

    @property
    def seconds_read(self) -> float | None:
        """The other encoder's."""
        return self.encoder.seconds_read

    @property
    def layout(self) -> TokenLayout:
        """The other encoder's."""
        return self.encoder.layout

    def prepare(self, media: Media) -> Tensor:
        """The other encoder's tensor of one medium."""
        return self.encoder.prepare(media)

    def to_weights(self, batch: Tensor) -> Tensor:
        """A batch as the other encoder puts it."""
        return self.encoder.to_weights(batch)

    def forward(self, batch: Tensor) -> Features:
        """The other encoder's features."""
        features: Features = self.encoder(batch)
        return features

    def embed(self, batch: Tensor) -> Tensor:
        """The first token."""
        return self.features_and_embedding(batch)[1]

    def features_and_embedding(self, batch: Tensor) -> tuple[Features, Tensor]:
        """Both in one pass."""
        features: Features = self(batch)
        return features, features.values[:, 0]

    def metadata(self) -> dict[str, object]:
        """The other encoder's metadata, with its class and this one's."""
        other = self.encoder.metadata()
        return {**other, **super().metadata(), "encoder": other["class"]}
