"""InternVL: tiles of one size beside a thumbnail, 256 soft tokens each.

Source: Chen et al. 2024 (InternVL 1.5, arXiv:2404.16821), section 3.3; transformers' `internvl`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import GotOcr2ImageProcessorPil, PreTrainedModel

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import Checkpoint, ImageTextFamily, MediaReader
from anymodal.language.families.tiles import TileReader
from anymodal.types import MediaPositions, SoftRun


class InternVLReader(TileReader):
    """Reads pictures; `crop_to_patches` is on, as transformers' processor of InternVL has it."""

    placeholder = "<IMG_CONTEXT>"

    def positions(self, media: Any) -> MediaPositions:
        height, width = media.pixels.shape[:2]
        count = self.processor.get_number_of_image_patches(height, width, {})
        # The end of the line is the chat template's own.
        return ("<img>", SoftRun(count * self.model.config.image_seq_length), "</img>\n")

    def features(self, tiles: Tensor) -> Tensor:
        tokens: Tensor = self.model.model.get_image_features(tiles, return_dict=True).pooler_output
        return tokens


class InternVL(ImageTextFamily):
    """InternVL, in transformers' own form."""

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        processor = GotOcr2ImageProcessorPil.from_pretrained(
            checkpoint.path_or_name, revision=checkpoint.revision
        )
        processor.crop_to_patches = True
        return [InternVLReader(model, processor)]
