"""Llama 3.2 Vision: layers of cross-attention read pictures of up to four tiles.

Source: Llama team 2024 (Llama 3), arXiv:2407.21783, section 7.2; transformers' `mllama`. A picture
takes one position, that of its mark; `fusion.own_cross` gives the layers its states.

Shapes: T tiles, P states of each, D width of the language model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import MllamaImageProcessorPil, PreTrainedModel

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import Checkpoint, ImageTextFamily, MediaReader
from anymodal.language.families.frames import NO_CLIPS
from anymodal.language.families.tiles import TileReader
from anymodal.media import Media, Video
from anymodal.types import MediaPositions, SoftRun


class CrossReader(TileReader):
    """Reads pictures as states for cross-attention (T · P, D + 1), each with a 1 behind it, or a 0
    where its tile is missing. What is prepared has the number of the picture's shape and that of
    its tiles before them.
    """

    placeholder = "<|image|>"

    def positions(self, media: Any) -> MediaPositions:
        return (SoftRun(1, filled=False),)

    def prepare(self, media: Any) -> Tensor:
        inputs = self.processed(media)
        shape, count = inputs["aspect_ratio_ids"].item(), inputs["aspect_ratio_mask"].sum()
        tiles = torch.as_tensor(inputs["pixel_values"], dtype=torch.float32)
        return torch.cat([torch.tensor([shape, count], dtype=torch.float32), tiles.flatten()])

    def collate(self, prepared: Sequence[Tensor]) -> list[Tensor]:
        """Prepared items on the tower's device; numbers are exact in float32 alone."""
        return [each.to(self.device) for each in prepared]

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        inner = self.model.model
        config = inner.vision_model.config
        count, side = config.max_num_tiles, config.image_size
        numbers = torch.stack([each[:2].long() for each in batch])
        tiles = torch.stack([each[2:].view(1, count, 3, side, side) for each in batch])
        real = (torch.arange(count, device=tiles.device) < numbers[:, 1:])[:, None]  # (n, 1, T)
        output = inner.vision_model(
            pixel_values=tiles.to(next(inner.vision_model.parameters()).dtype),
            aspect_ratio_ids=numbers[:, :1],
            aspect_ratio_mask=real.long(),
        )
        states = inner.multi_modal_projector(output.last_hidden_state)  # (n, 1, T, P, D)
        is_real = real[..., None, None].expand(*states.shape[:-1], 1).to(states)
        return list(torch.cat([states, is_real], -1).flatten(1, 3))

    def features(self, tiles: Tensor) -> Tensor:
        raise NotImplementedError("tiles are read with their picture's shape")


class Mllama(ImageTextFamily):
    """Llama 3.2 Vision."""

    reads_across = True
    renders_parts = True  # without a system message of its own where there are pictures
    unread: ClassVar[Mapping[type[Media], str]] = {Video: NO_CLIPS}

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        processor = MllamaImageProcessorPil.from_pretrained(
            checkpoint.path_or_name, revision=checkpoint.revision
        )
        return [CrossReader(model, processor)]
