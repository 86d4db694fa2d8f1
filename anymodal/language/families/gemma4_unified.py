"""Gemma 4's unified models (12B): patches of pictures and pieces of sounds, read without a tower.

Source: transformers' `gemma4_unified`. What a tower's pooling gives one soft token for is a patch
here, whose pixels a linear layer reads; a sound's samples are read as they are.

Shapes: T frames of a clip or 1 picture, K soft tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Gemma4UnifiedAudioFeatureExtractor
from transformers.masking_utils import create_masks_for_generate

from anymodal.language.families.base import MultimodalFamily
from anymodal.language.families.gemma4 import (
    BudgetClipReader,
    BudgetPictureReader,
    BudgetReader,
    Gemma4,
    MarkedSoundReader,
    cut_patches,
)
from anymodal.media import Media

SECONDS = 30
"""Of the longest sound that the model was made for."""


class PatchReader(BudgetReader):
    """Reads frames of clips, or pictures, a patch as large as a soft token's place at a time."""

    @property
    def modules(self) -> Sequence[nn.Module]:
        inner: Any = self.model.model
        return (inner.embed_vision,)

    def soft_tokens(self, batch: Sequence[Tensor]) -> Tensor:
        (embed,) = self.modules
        pairs = [cut_patches(frames, self.patch * self.pool) for frames in batch]
        # Patches know nothing of each other, so those of all frames are a row.
        pixels = torch.cat([each.flatten(0, 1) for each, _ in pairs])
        places = torch.cat([each.flatten(0, 1) for _, each in pairs])
        tokens: Tensor = embed(pixels[None], places[None], return_dict=True).pooler_output[0]
        return tokens


class PatchPictureReader(PatchReader, BudgetPictureReader):
    """Reads pictures."""


class PatchClipReader(PatchReader, BudgetClipReader):
    """Reads clips as evenly spread frames, each with its time before it."""


class WaveReader(MarkedSoundReader):
    """Reads sounds, a soft token for each piece of so many samples."""

    extractor_class = Gemma4UnifiedAudioFeatureExtractor
    names = (
        *("feature_extractor_type", "feature_size", "sampling_rate", "padding_value"),
        *("return_attention_mask", "padding_side", "audio_samples_per_token"),
    )

    @property
    def modules(self) -> Sequence[nn.Module]:
        inner: Any = self.model.model
        return (inner.embed_audio,)

    @property
    def max_samples(self) -> int:
        return SECONDS * int(self.extractor.sampling_rate)

    def count(self, samples: int) -> int:
        return -(-samples // int(self.extractor.audio_samples_per_token))

    def prepare(self, media: Any) -> Tensor:
        inputs = self.extractor([self.cut_samples(media)], return_tensors="np")
        return torch.from_numpy(np.asarray(inputs["input_features"][0], np.float32))

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        (embed,) = self.modules
        tokens: Tensor = embed(inputs_embeds=torch.cat([*batch]))
        pieces: Sequence[Tensor] = tokens.split([len(each) for each in batch])
        return pieces


class Gemma4Unified(Gemma4):
    """The unified models of Gemma 4, whose layers all let a frame's soft tokens see each other."""

    unread: ClassVar[Mapping[type[Media], str]] = {}
    picture_reader = PatchPictureReader
    clip_reader = PatchClipReader
    sound_reader = WaveReader
    seen_masks = staticmethod(create_masks_for_generate)  # as the model's own pass makes them

    def variant(self, config: Any) -> MultimodalFamily:
        return self
