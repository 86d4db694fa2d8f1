"""Text-to-media diffusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from anymodal.config import ConfigError
from anymodal.config.ranges import check_real
from anymodal.data.captioned import CaptionedMedium
from anymodal.decoders import Decoder
from anymodal.decoders.references import References, fill_slots
from anymodal.media import Media
from anymodal.training.losses import Denoise
from anymodal.training.losses.states import DiffusionStates, TargetStates
from anymodal.training.objectives.base import Objective
from anymodal.training.objectives.latents import (
    cached_latents,
    cached_references,
    decode_missing,
)


class CaptionedBatch(NamedTuple):
    """Media of one modality with their captions."""

    samples: list[CaptionedMedium]

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


class CaptionedDiffusion(Objective[CaptionedMedium, CaptionedBatch]):
    """Text-to-media diffusion: the caption encoder and the denoiser learn together.

    Classifier-free guidance needs captions dropped at times (Ho and Salimans 2022, algorithm 1). A
    decoder that looks at references learns to do without them, too, and without both: of the
    captions that are dropped, every other one takes its references along (Brooks et al. 2023,
    arXiv:2211.09800, section 3.2.1).

    Args:
        model: the decoder; its autoencoder stays as it is.
        dropout: share of captions replaced by the empty one.
        reference_dropout: share of samples whose references are dropped.

    Raises:
        ValueError: a share beyond 0 and 1.
    """

    model: Decoder

    def __init__(
        self, model: Decoder, dropout: float = 0.1, reference_dropout: float = 0.1
    ) -> None:
        super().__init__(model, {"denoise": Denoise})
        self.dropout = check_real("dropout", dropout, 0, 1)
        self.reference_dropout = check_real("reference_dropout", reference_dropout, 0, 1)

    def collate(self, samples: Sequence[CaptionedMedium]) -> CaptionedBatch:
        for sample in samples:
            if not isinstance(getattr(sample, "media", None), Media):
                raise ConfigError(
                    "CaptionedDiffusion learns from Captioned media and edits (Edits), not from "
                    f"{type(sample).__name__}; a composed model learns from conversations"
                )
        batch = CaptionedBatch(list(samples))
        decode_missing(self, self.model.encoding(), [sample.media for sample in samples])
        references = [each for item in self._references(batch) for each in item]
        for slot in self.model.references:
            media = [each.media for each in references if each.role == slot.role]
            decode_missing(self, self.model.reference_encoding(slot.role), media)
        return batch

    def open_cache(self) -> None:
        slots = self.model.references
        keys = [self.model.encoding(), *(self.model.reference_encoding(s.role) for s in slots)]
        for key in keys:
            if self.feature_cache is not None and self.is_cacheable(key):
                self.feature_cache.open(key, self.device)

    def precompute(self, batch: CaptionedBatch) -> None:
        self._latents(batch)
        if self.model.references:
            cached_references(self, self.model, self._references(batch))

    def states(self, batch: CaptionedBatch) -> DiffusionStates:
        latents = self._latents(batch)
        draws = torch.rand(len(batch.samples))
        drop = (draws < self.dropout).tolist()
        captions = ["" if d else s.caption for d, s in zip(drop, batch.samples, strict=True)]
        references = self._dropped_references(batch, draws)
        shown = references if self.model.sees_references else None
        conditioning = (
            self.model.embed_captions(captions)  # a decoder of one's own may know of no references
            if shown is None
            else self.model.embed_captions(captions, shown)
        )
        target = TargetStates(
            self.model,
            conditioning,
            latents=latents,
            media_places=tuple(range(len(captions))),
            references=(
                None if references is None else cached_references(self, self.model, references)
            ),
        )
        return DiffusionStates({"": target})

    def _dropped_references(self, batch: CaptionedBatch, draws: Tensor) -> References | None:
        """References of a batch, without those that are dropped at these draws from [0, 1)."""
        if not self.model.references:
            return None
        references = self._references(batch)
        # One draw decides both, so that neither dropout changes the other's share.
        first = min(self.dropout / 2, 1 - self.reference_dropout)
        drop = ((first <= draws) & (draws < first + self.reference_dropout)).tolist()
        return [[] if d else item for d, item in zip(drop, references, strict=True)]

    def _references(self, batch: CaptionedBatch) -> References:
        return [fill_slots(self.model.references, each.references) for each in batch.samples]

    def _latents(self, batch: CaptionedBatch) -> Tensor:
        return cached_latents(self, self.model, [sample.media for sample in batch.samples])

    def save_pretrained(self, folder: str | Path) -> None:
        self.model.save_pretrained(folder)
