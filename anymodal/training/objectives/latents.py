"""Latents of media that decoders are to make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from anymodal.decoders import Decoder
from anymodal.media import Media
from anymodal.training.objectives.base import Objective


@torch.no_grad()
def cached_latents(
    objective: Objective[Any, Any], decoder: Decoder, media: Sequence[Media]
) -> Tensor:
    """A frozen autoencoder's latents of media (B, …), in float32."""

    def encode(some: list[Media]) -> list[Tensor]:
        batch = torch.stack([decoder.prepare(each) for each in some])
        return [decoder.encode(batch.to(objective.device)).float()]

    latents = objective.cached(decoder.encoding(), media, lambda each: each.digest(), encode)[0]
    if objective.feature_cache is not None:
        objective.feature_cache.keep_digests(media)
    return latents


def decode_missing(
    objective: Objective[Any, Any], decoder: Decoder, media: Sequence[Media]
) -> list[Media]:
    """Decode files whose latents aren't cached, where workers do it.

    Returns:
        Those of the media that are decoded now.
    """
    files, key = [each for each in media if each.file is not None], decoder.encoding()
    cached = objective.is_cached(key, files, lambda each: each, lambda each: each.digest())
    for medium in (each for each, there in zip(files, cached, strict=True) if not there):
        medium.decode()
        if objective.feature_cache is not None and not key.trains:
            medium.digest()
    return [medium for medium in files if medium.decoded]
