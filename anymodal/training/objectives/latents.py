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

    return objective.cached(decoder.encoding(), media, lambda each: each.digest(), encode)[0]
