"""InternVL: tiles of one size beside a thumbnail, 256 soft tokens each.

Source: Chen et al. 2024 (InternVL 1.5, arXiv:2404.16821), section 3.3; transformers' `internvl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GotOcr2ImageProcessorPil, PreTrainedModel

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import Checkpoint, ImageTextFamily, MediaReader
from anymodal.language.families.frames import FRAME_DEFAULTS, FrameReader
from anymodal.language.families.pixels import read_settings
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


class NumberedFrameReader(FrameReader):
    """Reads clips as numbered frames, each a picture of one tile; at most 8, or `num_frames`."""

    placeholder, written = "<IMG_CONTEXT>", "<video>"

    def positions(self, media: Any) -> MediaPositions:
        run = SoftRun(self.model.config.image_seq_length)
        parts: list[str | SoftRun] = []
        before = ""
        for number in range(1, len(self.chosen(media)) + 1):
            parts += [f"{before}Frame{number}: <img>", run]
            before = "</img>\n"
        # The last line's end is the chat template's own.
        return (*parts, "</img>\n")

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        output = self.model.model.get_image_features(torch.cat([*batch]), return_dict=True)
        counts = [len(frames) for frames in batch]
        return [each.flatten(0, 1) for each in output.pooler_output.split(counts)]


class InternVL(ImageTextFamily):
    """InternVL, in transformers' own form."""

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        processor = GotOcr2ImageProcessorPil.from_pretrained(
            checkpoint.path_or_name, revision=checkpoint.revision
        )
        processor.crop_to_patches = True
        clips = read_settings(checkpoint, FRAME_DEFAULTS, clips=True)
        return [InternVLReader(model, processor), NumberedFrameReader(model, clips, most=8)]
