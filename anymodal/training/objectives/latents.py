"""Latents of media that decoders are to make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from anymodal.decoders import Decoder
from anymodal.decoders.references import (
    EncodedReference,
    EncodedReferences,
    Reference,
    References,
    check_references,
)
from anymodal.io.feature_cache import CacheKey
from anymodal.media import Media
from anymodal.training.objectives.base import Objective
from anymodal.types import Conditioning


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


@torch.no_grad()
def cached_references(
    objective: Objective[Any, Any], decoder: Decoder, references: References
) -> EncodedReferences:
    """Latents of what a batch's media are made from, in float32, by a frozen autoencoder."""
    check_references(decoder.references, references, len(references), type(decoder).__name__)
    latents: dict[tuple[str, str], Tensor] = {}
    for role in {reference.role for item in references for reference in item}:
        some = [each for item in references for each in item if each.role == role]

        def encode(uncached: list[Reference]) -> list[Tensor]:
            prepared = [decoder.prepare_reference(each) for each in uncached]
            return _encode_by_shape(decoder, prepared, objective.device)

        key = decoder.reference_encoding(role)
        values = objective.cached_each(key, some, _digest, encode)
        latents.update(
            ((role, _digest(each)), value) for each, value in zip(some, values, strict=True)
        )
    return [
        [EncodedReference(each.role, latents[each.role, _digest(each)]) for each in item]
        for item in references
    ]


def _digest(reference: Reference) -> str:
    return reference.media.digest()


def _encode_by_shape(
    decoder: Decoder, prepared: Sequence[Tensor], device: torch.device
) -> list[Tensor]:
    """Latents of prepared references, those of one shape in one batch."""
    latents: dict[int, Tensor] = {}
    for shape in dict.fromkeys(each.shape for each in prepared):
        places = [place for place, each in enumerate(prepared) if each.shape == shape]
        batch = torch.stack([prepared[place] for place in places])
        encoded = decoder.encode_reference(batch.to(device)).float()
        latents.update(zip(places, encoded, strict=True))
    return [latents[place] for place in range(len(prepared))]


def cached_captions(
    objective: Objective[Any, Any],
    decoder: Decoder,
    captions: Sequence[str],
    references: References | None = None,
) -> Conditioning:
    """A decoder's own conditioning of captions, of a frozen caption encoder from the cache.

    Args:
        objective: whose cache it is.
        decoder: whose encoder.
        captions: at least one.
        references: a list for each, where the encoder looks at them.
    """
    if not decoder.sees_references or references is None:

        def embed(some: list[str]) -> list[Tensor]:
            return [tensor for tensor in decoder.embed_captions(some) if tensor is not None]

        return Conditioning(*objective.cached(decoder.captioning(), captions, str, embed))

    def embed_beside(some: list[tuple[str, Sequence[Reference]]]) -> list[Tensor]:
        conditioning = decoder.embed_captions([text for text, _ in some], [r for _, r in some])
        return [tensor for tensor in conditioning if tensor is not None]

    pairs = list(zip(captions, references, strict=True))
    return Conditioning(*objective.cached(decoder.captioning(), pairs, _digest_pair, embed_beside))


def _digest_pair(pair: tuple[str, Sequence[Reference]]) -> str:
    """A caption alone has the digest that it has where nobody looks at references."""
    caption, references = pair
    media = [[reference.role, _digest(reference)] for reference in references]
    return json.dumps([caption, media]) if media else caption


def decode_missing(
    objective: Objective[Any, Any], key: CacheKey, media: Sequence[Media]
) -> list[Media]:
    """Decode files whose latents aren't cached, where workers do it.

    Args:
        objective: whose cache it is.
        key: of the latents.
        media: those that they are of.

    Returns:
        Those of the media that are decoded now.
    """
    files = [each for each in media if each.file is not None]
    cached = objective.is_cached(key, files, lambda each: each, lambda each: each.digest())
    for medium in (each for each, there in zip(files, cached, strict=True) if not there):
        medium.decode()
        if objective.is_cacheable(key):
            medium.digest()
    return [medium for medium in files if medium.decoded]
