"""Features and embeddings of media in one cache, for training and for `anymodal embed`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from anymodal.encoders.base import Encoder
from anymodal.io.feature_cache import FeatureCache
from anymodal.types import Features

FEATURES, EMBEDDINGS = "features", "embeddings"


def encode_and_keep(
    cache: FeatureCache, encoder: Encoder, digests: Callable[[], Sequence[str]], batch: Tensor
) -> Features:
    """Features of media; the embeddings that come in the same pass are kept in the cache.

    Args:
        cache: a folder.
        encoder: of the media.
        digests: gives that of each medium; not asked where the encoder trains.
        batch: as the encoder prepared them, on its device.
    """
    key = encoder.cache_key(EMBEDDINGS)
    if cache.trains(key):
        features: Features = encoder(batch)
        return features
    features, embeds = encoder.features_and_embedding(batch)
    if embeds is not None:
        rows = embeds.detach().float().cpu()
        cache.add(key, {d: (row,) for d, row in zip(digests(), rows, strict=True)}, batch.device)
    return features


@torch.no_grad()
def embed_and_keep(
    cache: FeatureCache, encoder: Encoder, digests: Sequence[str], batch: Tensor
) -> Tensor:
    """Embeddings (B, E) of media in float32; they and the features of the same pass are kept.

    Args:
        cache: a folder.
        encoder: of the media.
        digests: of each medium.
        batch: as the encoder prepared them, on its device.
    """
    features, embeds = encoder.features_and_embedding(batch)
    if embeds is None:
        embeds = encoder.embed(batch)
    pairs = zip(digests, *features, strict=True)
    kept = {digest: (values.cpu(), mask.cpu()) for digest, values, mask in pairs}
    cache.add(encoder.cache_key(FEATURES), kept, batch.device)
    rows = embeds.float().cpu()
    own = {digest: (row,) for digest, row in zip(digests, rows, strict=True)}
    cache.add(encoder.cache_key(EMBEDDINGS), own, batch.device)
    return rows
