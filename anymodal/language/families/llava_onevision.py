"""LLaVA-OneVision: a picture as a whole and in tiles, without the padding that its shape needs.

Source: Li et al. 2024 (LLaVA-OneVision, arXiv:2408.03326), section 3.2 (anyres-max); transformers'
`llava_onevision`. Each picture is cut as one alone is, also where a conversation has several.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlavaOnevisionImageProcessorPil, PreTrainedModel
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_utils import select_best_resolution

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import Checkpoint, ImageTextFamily, MediaReader
from anymodal.language.families.frames import FRAME_DEFAULTS, FrameReader
from anymodal.language.families.pixels import Settings, read_settings
from anymodal.language.families.tiles import TileReader
from anymodal.types import MediaPositions, SoftRun


class AnyResolutionReader(TileReader):
    """Reads pictures. What is prepared has the picture's height and width before its tiles."""

    placeholder = "<image>"

    def __init__(self, model: PreTrainedModel, processor: PilBackend) -> None:
        super().__init__(model, processor)
        inner: Any = model.model
        self.line_end = nn.ParameterList([inner.image_newline])  # shared, to be told as a module

    @property
    def modules(self) -> Sequence[nn.Module]:
        return (*super().modules, self.line_end)

    def positions(self, media: Any) -> MediaPositions:
        return (SoftRun(self.count(*media.pixels.shape[:2])),)

    def count(self, height: int, width: int) -> int:
        """Soft tokens of a picture: of the whole, of its tiles unpadded, and of lines' ends.

        Source: `_get_number_of_features` of transformers' processor.
        """
        config = self.model.config
        tile: int = config.vision_config.image_size
        side: int = tile // config.vision_config.patch_size
        best = select_best_resolution([height, width], config.image_grid_pinpoints)
        rows, columns = (side * (pixels // tile) for pixels in best)
        if width / height > columns / rows:
            rows -= (rows - int(round(height * (columns / width), 7))) // 2 * 2
        else:
            columns -= (columns - int(round(width * (rows / height), 7))) // 2 * 2
        most = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
        ratio = math.sqrt(rows * columns / (most * side**2))
        if ratio > 1.1:
            rows, columns = int(rows // ratio), int(columns // ratio)
        count: int = side * side + rows * (columns + 1)
        return count

    def prepare(self, media: Any) -> Tensor:
        size = torch.tensor(media.pixels.shape[:2], dtype=torch.float32)
        return torch.cat([size, super().prepare(media).flatten()])

    def collate(self, prepared: Sequence[Tensor]) -> list[Tensor]:
        """Prepared items on the tower's device; sizes are exact in float32 alone."""
        return [each.to(self.device) for each in prepared]

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        side = self.model.config.vision_config.image_size
        sizes = torch.stack([each[:2].long() for each in batch])
        tiles = torch.cat([each[2:].view(-1, 3, side, side) for each in batch])
        dtype = next(self.modules[0].parameters()).dtype
        output = self.model.model.get_image_features(tiles.to(dtype), sizes, return_dict=True)
        tokens: Sequence[Tensor] = output.pooler_output
        return tokens

    def features(self, tiles: Tensor) -> Tensor:
        raise NotImplementedError("tiles are read with their picture's size")


class PooledClipReader(FrameReader):
    """Reads clips of up to 32 frames, whose tokens are pooled 2 × 2, with a line's end behind."""

    placeholder = "<video>"

    def __init__(self, model: PreTrainedModel, settings: Settings) -> None:
        super().__init__(model, settings, most=32)
        inner: Any = model.model
        self.line_end = nn.ParameterList([inner.image_newline])  # shared, to be told as a module

    @property
    def modules(self) -> Sequence[nn.Module]:
        return (*super().modules, self.line_end)

    def positions(self, media: Any) -> MediaPositions:
        config = self.model.config.vision_config
        side = math.ceil(config.image_size // config.patch_size / 2)
        return (SoftRun(len(self.chosen(media)) * side**2 + 1),)

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        read = self.model.model.get_video_features
        return [read(each[None], return_dict=True).pooler_output[0] for each in batch]


class LlavaOneVision(ImageTextFamily):
    """LLaVA-OneVision."""

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        processor = LlavaOnevisionImageProcessorPil.from_pretrained(
            checkpoint.path_or_name, revision=checkpoint.revision
        )
        clips = read_settings(checkpoint, FRAME_DEFAULTS, clips=True)
        return [AnyResolutionReader(model, processor), PooledClipReader(model, clips)]
