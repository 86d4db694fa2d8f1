"""Gemma 3: 256 soft tokens a picture, which see each other.

Source: Gemma Team 2025 (arXiv:2503.19786), section 2.1; transformers' `gemma3`. Pictures are read
whole, as by default; pan and scan is not supported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Gemma3ImageProcessorPil, PreTrainedModel
from transformers.models.gemma3.modeling_gemma3 import (
    create_masks_for_vision_model,
    get_block_sequence_ids_for_mask,
)

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import Checkpoint, ImageTextFamily, MediaReader, PassInputs
from anymodal.language.families.frames import NO_CLIPS
from anymodal.language.families.tiles import TileReader
from anymodal.media import Media, Video
from anymodal.types import MediaPositions, SoftRun


class GemmaReader(TileReader):
    """Reads pictures. Behind a soft token stands a 1, which tells that it is one."""

    placeholder, written = "<image_soft_token>", "<start_of_image>"

    def positions(self, media: Any) -> MediaPositions:
        run = SoftRun(self.model.config.mm_tokens_per_image)
        return ("\n\n<start_of_image>", run, "<end_of_image>\n\n")

    def features(self, tiles: Tensor) -> Tensor:
        tokens: Tensor = self.model.model.get_image_features(tiles, return_dict=True).pooler_output
        marks = torch.zeros_like(tokens)
        marks[..., 0] = 1
        return torch.cat([tokens, marks], -1)  # (N, K, 2 · D)


class Gemma3(ImageTextFamily):
    """Gemma 3, from 4B on."""

    is_causal = False
    renders_parts = True
    unread: ClassVar[Mapping[type[Media], str]] = {Video: NO_CLIPS}

    def num_deep(self, config: Any) -> int:
        return 1

    def deep_inputs(self, inputs: PassInputs, deep: Tensor) -> dict[str, Any]:
        """Masks in which the soft tokens of a picture see each other.

        What is cached already sees nothing more, so it belongs to no picture here.
        """
        blocks = get_block_sequence_ids_for_mask((deep[:, :, 0, 0] > 0).long())  # (B, T)
        past = 0 if inputs.past is None else inputs.past.get_seq_length()
        masks = create_masks_for_vision_model(
            config=inputs.config,
            inputs_embeds=inputs.embeds,
            attention_mask=inputs.mask,
            past_key_values=inputs.past,
            position_ids=inputs.positions,
            block_sequence_ids=F.pad(blocks, (past, 0), value=-1),
        )
        return {"attention_mask": masks}

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        processor = Gemma3ImageProcessorPil.from_pretrained(
            checkpoint.path_or_name, revision=checkpoint.revision
        )
        processor.do_pan_and_scan = False
        return [GemmaReader(model, processor)]
