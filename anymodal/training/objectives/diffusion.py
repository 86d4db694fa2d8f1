"""Text-to-media diffusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from anymodal.data.captioned import Captioned
from anymodal.decoders import Decoder
from anymodal.training.losses import Denoise
from anymodal.training.losses.states import DiffusionStates, TargetStates
from anymodal.training.objectives.base import Objective
from anymodal.training.objectives.latents import cached_latents, decode_missing


class CaptionedBatch(NamedTuple):
    """Media of one modality with their captions."""

    samples: list[Captioned]

    @property
    def num_captions(self) -> Mapping[str, int]:
        """Number of those with a caption: all."""
        return {"": len(self.samples)}

    @property
    def num_media(self) -> Mapping[str, int]:
        """Number of media."""
        return self.num_captions

    def target_samples(self, name: str) -> list[int]:
        """Numbers of the samples: each has one."""
        return list(range(len(self.samples)))


class CaptionedDiffusion(Objective[Captioned, CaptionedBatch]):
    """Text-to-media diffusion: the caption encoder and the denoiser learn together.

    Classifier-free guidance needs captions dropped at times (Ho and Salimans 2022, algorithm 1).

    Args:
        model: the decoder; its autoencoder stays as it is.
        dropout: share of captions replaced by the empty one.
    """

    model: Decoder

    def __init__(self, model: Decoder, dropout: float = 0.1) -> None:
        super().__init__(model, {"denoise": Denoise})
        self.dropout = dropout

    def collate(self, samples: Sequence[Captioned]) -> CaptionedBatch:
        decode_missing(self, self.model, [sample.media for sample in samples])
        return CaptionedBatch(list(samples))

    def open_cache(self) -> None:
        if self.feature_cache is not None and not (key := self.model.encoding()).trains:
            self.feature_cache.open(key, self.device)

    def precompute(self, batch: CaptionedBatch) -> None:
        self._latents(batch)

    def states(self, batch: CaptionedBatch) -> DiffusionStates:
        latents = self._latents(batch)
        drop = (torch.rand(len(batch.samples)) < self.dropout).tolist()
        captions = ["" if d else s.caption for d, s in zip(drop, batch.samples, strict=True)]
        conditioning = self.model.embed_captions(captions)
        places = tuple(range(len(captions)))
        target = TargetStates(self.model, conditioning, latents=latents, media_places=places)
        return DiffusionStates({"": target})

    def _latents(self, batch: CaptionedBatch) -> Tensor:
        return cached_latents(self, self.model, [sample.media for sample in batch.samples])

    def save_pretrained(self, folder: str | Path) -> None:
        self.model.save_pretrained(folder)
